//! The table of flags. The parser, the help, the manual pages and the shell completions are derived
//! from it.

use clap::{Arg, ArgAction, Command};

use super::help;
pub(super) use definition::{Definition, Flag};
#[cfg(test)]
pub(super) use definition::{MAX_BRIEF, Offer};

mod authentication;
mod definition;
mod general;
mod local;
mod proxies;
mod remote;
mod servers;
mod ssh;

/// All flags, grouped by the headings of the help.
pub(super) const GROUPS: [(&str, &[Definition]); 11] = [
    ("Route", proxies::ROUTE),
    ("SOCKS", proxies::SOCKS),
    ("HTTP", proxies::HTTP),
    ("Authentication", authentication::AUTHENTICATION),
    ("TLS (https:// proxies, --tls-target)", authentication::TLS),
    ("SSH (ssh:// hops, --ssh)", ssh::SSH),
    ("Commands, copies and forwards (--ssh)", remote::REMOTE),
    ("Local endpoint", local::LOCAL),
    ("Servers (--listen with a scheme)", servers::SERVERS),
    ("Tokens", servers::TOKENS),
    ("General", general::GENERAL),
];

/// Returns all flags.
pub(super) fn all() -> impl Iterator<Item = &'static Definition> {
    GROUPS.iter().flat_map(|(_, group)| *group)
}

/// Returns the usage line: all letters that take no value in one cluster, then each letter that
/// takes a value, with its placeholder.
pub(super) fn usage() -> String {
    let letters: String = all().filter(|flag| flag.value.is_none()).filter_map(|flag| flag.letter).collect();
    let with_value = all().filter_map(|flag| Some(format!("[-{} {}]", flag.letter?, flag.value?)));
    let with_value: Vec<_> = with_value.collect();
    format!("connect [-{letters}] {} [--LONG-OPTION] HOST [PORT]", with_value.join(" "))
}

/// Describes the flags to clap, which renders the help and suggests options for misspelled ones.
///
/// clap does not parse the command line, because building this `Command` takes longer than
/// everything else that the program does before it sends its first byte.
pub(super) fn command() -> Command {
    let command = Command::new("connect")
        .about(help::ABOUT)
        .override_usage(help::USAGE)
        .after_help(help::after())
        .after_long_help(help::after_all())
        .max_term_width(120)
        .disable_help_flag(true)
        .disable_version_flag(true);
    GROUPS.iter().fold(command, |command, (heading, group)| {
        command.args(group.iter().map(|definition| argument(definition).help_heading(*heading)))
    })
}

fn argument(definition: &Definition) -> Arg {
    // The ID can be any unique text.
    let mut argument =
        Arg::new(definition.brief).help(definition.brief).long_help(help::plain(definition.text));
    if let Some(letter) = definition.letter {
        argument = argument.short(letter);
    }
    if let Some(long) = definition.long {
        argument = argument.long(long);
    }
    match definition.value {
        Some(value) if definition.optional => {
            argument.action(ArgAction::Set).value_name(value).num_args(0..=1).require_equals(true)
        }
        Some(value) => argument.action(ArgAction::Append).value_name(value).allow_hyphen_values(true),
        None => argument.action(ArgAction::SetTrue),
    }
}
