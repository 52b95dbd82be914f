//! The long name of a directory's entry, as `ls -l` prints it. The `ls -l` of `sftp` shows it.

use crate::ssh::sftp::wire::Attributes;
use crate::text::date::rfc3339;

/// Times are shown with hour and minute for this many seconds, about half a year.
const RECENT: u64 = 365 * 86_400 / 2;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The parts of a long name.
#[derive(Clone, Copy, Debug)]
pub struct LongName<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The attributes.
    pub attributes: &'a Attributes,
    /// The number of hard links.
    pub links: u64,
    /// The name of the user; if it is empty, the ID is shown.
    pub user: &'a [u8],
    /// The name of the group; if it is empty, the ID is shown.
    pub group: &'a [u8],
    /// The present time in seconds since 1970.
    pub now: u64,
    /// The offset of the local time from UTC, in seconds.
    pub utc_offset: i32,
}

impl LongName<'_> {
    /// Formats the long name.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        let (user_id, group_id) = self.attributes.owner.unwrap_or_default();
        let or_id = |name: &[u8], id: u32| {
            if name.is_empty() { id.to_string() } else { String::from_utf8_lossy(name).into_owned() }
        };
        let start = format!(
            "{} {:3} {:8} {:8} {:8} {} ",
            mode_letters(self.attributes.mode.unwrap_or_default()),
            self.links,
            or_id(self.user, user_id),
            or_id(self.group, group_id),
            self.attributes.size.unwrap_or_default(),
            self.time(),
        );
        [start.as_bytes(), self.name].concat()
    }

    /// Formats the time of the last modification.
    fn time(&self) -> String {
        let (_, modification) = self.attributes.times.unwrap_or_default();
        let modification = u64::from(modification);
        let local = modification.saturating_add_signed(self.utc_offset.into());
        // 2026-11-21T20:53:07Z
        let text = rfc3339(local);
        let part = |from, to| text.get(from..to).unwrap_or_default();
        let month = part(5, 7).parse().ok().and_then(|month: usize| MONTHS.get(month.wrapping_sub(1)));
        let day = part(8, 10).trim_start_matches('0');
        let is_recent = modification <= self.now && self.now - modification < RECENT;
        let last = if is_recent { part(11, 16) } else { part(0, 4) };
        format!("{} {day:>2} {last:>5}", month.copied().unwrap_or_default())
    }
}

/// Formats a mode, such as `-rw-r--r--`.
fn mode_letters(mode: u32) -> String {
    let kind = match mode & 0o170_000 {
        0o010_000 => 'p',
        0o020_000 => 'c',
        0o040_000 => 'd',
        0o060_000 => 'b',
        0o120_000 => 'l',
        0o140_000 => 's',
        _ => '-',
    };
    let mut letters = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        letters.push(if bits & 4 != 0 { 'r' } else { '-' });
        letters.push(if bits & 2 != 0 { 'w' } else { '-' });
        letters.push(match (mode & special != 0, bits & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, false) => letter.to_ascii_uppercase(),
            (true, true) => letter,
        });
    }
    letters
}
