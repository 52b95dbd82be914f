//! A case: how both programs are run, with what around them, and what is to come of it.

use std::time::Duration;

use crate::peer::Talk;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aspect {
    /// Zero or not, or that it did not end.
    Exit,
    /// What came out: of stdout, and at the client of a local port.
    Output,
    /// What the peers received, connection by connection.
    Wire,
    /// What the user was asked.
    Prompt,
    /// The debug lines that people know.
    Debug,
}

impl Aspect {
    pub(crate) const ALL: [Self; 5] = [Self::Exit, Self::Output, Self::Wire, Self::Prompt, Self::Debug];
}

/// Makes of what theirs did what ours is to do.
pub(crate) type Translation = fn(&str) -> String;

/// What stdin is.
#[derive(Clone, Debug)]
pub(crate) enum Stdin {
    /// These bytes, then its end.
    Bytes(Vec<u8>),
    /// These bytes, and it stays open.
    Open(Vec<u8>),
}

/// What stands where a parameter file could be.
#[derive(Clone, Debug)]
pub(crate) enum File {
    Absent,
    Holds(Vec<u8>),
    Directory,
}

/// Whose run a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Both,
    Theirs,
    Ours,
}

/// One row of the table.
///
/// In words, variables and files `{proxy}` is the address of the peer of that name, `{proxy.port}` its port; `{refused}`
/// is an address where nobody listens, `{silent}` one where connecting hangs, `{dns}` a name server, `{local}` a free
/// port, `{dir}` a directory of the run's own, which holds the user's home and an askpass program.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) words: String,
    pub(crate) variables: Vec<(&'static str, String)>,
    pub(crate) called: Option<&'static str>,
    pub(crate) home_file: File,
    pub(crate) etc_file: File,
    pub(crate) has_account: bool,
    pub(crate) knows_password: bool,
    pub(crate) peers: Vec<(&'static str, Vec<Talk>)>,
    pub(crate) stdin: Stdin,
    pub(crate) redirection: &'static str,
    pub(crate) typed: Option<&'static str>,
    pub(crate) client: Option<Talk>,
    pub(crate) from_outside: bool,
    pub(crate) client_after: Duration,
    pub(crate) theirs_hangs: Option<Duration>,
    pub(crate) differences: Vec<(Aspect, &'static str)>,
    pub(crate) translations: Vec<(Aspect, &'static str, Translation)>,
    pub(crate) checks: Vec<(Whose, &'static str)>,
}

/// Starts a case. Until it says otherwise, both have to do the same in every respect.
pub(crate) fn case(name: &'static str, words: &str) -> Case {
    Case {
        name,
        words: words.to_owned(),
        variables: Vec::new(),
        called: None,
        home_file: File::Absent,
        etc_file: File::Absent,
        has_account: true,
        knows_password: true,
        peers: Vec::new(),
        stdin: Stdin::Bytes(Vec::new()),
        redirection: "",
        typed: None,
        client: None,
        from_outside: false,
        client_after: Duration::ZERO,
        theirs_hangs: None,
        differences: Vec::new(),
        translations: Vec::new(),
        checks: Vec::new(),
    }
}

impl Case {
    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Runs it under this name.
    pub(crate) fn called(mut self, name: &'static str) -> Self {
        self.called = Some(name);
        self
    }

    /// What `~/.connectrc` holds.
    pub(crate) fn home_file(mut self, content: impl AsRef<[u8]>) -> Self {
        self.home_file = File::Holds(content.as_ref().to_vec());
        self
    }

    /// What `/etc/connectrc` holds.
    pub(crate) fn etc_file(mut self, content: impl AsRef<[u8]>) -> Self {
        self.etc_file = File::Holds(content.as_ref().to_vec());
        self
    }

    /// `~/.connectrc` is a directory.
    pub(crate) fn home_file_is_a_directory(mut self) -> Self {
        self.home_file = File::Directory;
        self
    }

    /// The user database does not know the user.
    pub(crate) fn without_account(mut self) -> Self {
        self.has_account = false;
        self
    }

    /// `SOCKS5_PASSWORD` is not set. (Else it is `secret`: who has no password offers a SOCKS5 proxy something else.)
    pub(crate) fn without_password(mut self) -> Self {
        self.knows_password = false;
        self
    }

    /// A peer that does the same on every connection.
    pub(crate) fn peer(self, name: &'static str, talk: Talk) -> Self {
        self.peer_each(name, [talk])
    }

    /// A peer with something to do for each connection; the last one goes for all further ones.
    pub(crate) fn peer_each(mut self, name: &'static str, talks: impl IntoIterator<Item = Talk>) -> Self {
        self.peers.push((name, talks.into_iter().collect()));
        self
    }

    /// Stdin brings this, then ends. (It ends at once if nothing is said.)
    pub(crate) fn input(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = Stdin::Bytes(bytes.as_ref().to_vec());
        self
    }

    /// Stdin brings this and stays open.
    pub(crate) fn input_stays_open(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = Stdin::Open(bytes.as_ref().to_vec());
        self
    }

    /// Starts it with this redirection of the shell's.
    pub(crate) fn redirected(mut self, redirection: &'static str) -> Self {
        self.redirection = redirection;
        self
    }

    /// There is a terminal, and when it is asked something there, the user types this.
    pub(crate) fn typed(mut self, line: &'static str) -> Self {
        self.typed = Some(line);
        self
    }

    /// Somebody connects to `{local}` as soon as that is possible.
    pub(crate) fn client(mut self, talk: Talk) -> Self {
        self.client = Some(talk);
        self
    }

    /// The client does not come before so much time has passed.
    pub(crate) fn client_comes_late(mut self) -> Self {
        self.client_after = Duration::from_millis(500);
        self
    }

    /// The client first tries an address of this machine that is not the usual one of loopback.
    pub(crate) fn client_from_outside(mut self) -> Self {
        self.from_outside = true;
        self
    }

    /// The C program does not come to an end here; it is stopped after a short while.
    pub(crate) fn theirs_hangs(mut self) -> Self {
        self.theirs_hangs = Some(Duration::from_millis(700));
        self
    }

    /// They differ in these, for the reason that docs/compat.md has under this id.
    pub(crate) fn differs(mut self, aspects: impl IntoIterator<Item = Aspect>, id: &'static str) -> Self {
        self.differences.extend(aspects.into_iter().map(|aspect| (aspect, id)));
        self
    }

    /// They differ here in a way that is known exactly.
    pub(crate) fn translated(mut self, aspect: Aspect, id: &'static str, translation: Translation) -> Self {
        self.translations.push((aspect, id, translation));
        self
    }

    /// This is in the report of both runs.
    pub(crate) fn both(mut self, part: &'static str) -> Self {
        self.checks.push((Whose::Both, part));
        self
    }

    /// This is in the report of the C program's run.
    pub(crate) fn theirs(mut self, part: &'static str) -> Self {
        self.checks.push((Whose::Theirs, part));
        self
    }

    /// This is in the report of our run.
    pub(crate) fn ours(mut self, part: &'static str) -> Self {
        self.checks.push((Whose::Ours, part));
        self
    }

    /// Both exit with zero.
    pub(crate) fn ok(self) -> Self {
        self.both("exit: zero")
    }

    /// Both exit with something else.
    pub(crate) fn fails(self) -> Self {
        self.both("exit: not zero")
    }

    /// The differences that it names.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &'static str> {
        let translations = self.translations.iter().map(|(_, id, _)| *id);
        self.differences.iter().map(|(_, id)| *id).chain(translations)
    }
}
