//! A case: how both programs are run, in what environment, and what the results must be.

use std::time::Duration;

use crate::kit::Script;

/// An aspect of a run that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aspect {
    /// The end of the program, and whether its exit code is zero.
    Exit,
    /// The bytes on stdout, and those that the client of a local port receives.
    Output,
    /// The bytes that the peers receive, connection by connection.
    Wire,
    /// The prompts that the user sees.
    Prompt,
    /// The debug lines that the C program also prints.
    Debug,
}

impl Aspect {
    pub(crate) const ALL: [Self; 5] = [Self::Exit, Self::Output, Self::Wire, Self::Prompt, Self::Debug];
}

/// Translates a result of the C program into the result expected from ours.
pub(crate) type Translation = fn(&str) -> String;

/// The contents of stdin.
#[derive(Clone, Debug)]
pub(crate) enum Stdin {
    /// These bytes, then EOF.
    Bytes(Vec<u8>),
    /// These bytes, and no EOF.
    Open(Vec<u8>),
}

/// The state of a parameter file.
#[derive(Clone, Debug)]
pub(crate) enum File {
    Absent,
    Contents(Vec<u8>),
    Directory,
}

/// The programs that a check applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Both,
    Theirs,
    Ours,
}

/// One row of the table.
///
/// Arguments, variables and files may contain placeholders. For a peer named `proxy`, `{proxy}` is
/// its address and `{proxy.port}` its port. `{refused}` is an address where nothing listens,
/// `{silent}` one where connecting hangs, `{dns}` a name server, and `{local}` a free port. `{dir}`
/// is the directory of the run, which holds the user's home and an askpass program.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) args: String,
    pub(crate) variables: Vec<(&'static str, String)>,
    pub(crate) program_name: Option<&'static str>,
    pub(crate) home_file: File,
    pub(crate) etc_file: File,
    pub(crate) has_account: bool,
    pub(crate) has_password: bool,
    pub(crate) peers: Vec<(&'static str, Script)>,
    pub(crate) stdin: Stdin,
    pub(crate) redirection: &'static str,
    pub(crate) typed: Option<&'static str>,
    pub(crate) client: Option<Script>,
    pub(crate) client_from_outside: bool,
    pub(crate) client_delay: Duration,
    pub(crate) theirs_hangs: Option<Duration>,
    pub(crate) differences: Vec<(Aspect, &'static str)>,
    pub(crate) translations: Vec<(Aspect, &'static str, Translation)>,
    pub(crate) checks: Vec<(Side, &'static str)>,
}

/// Creates a case. By default, both programs must behave the same in every aspect.
pub(crate) fn case(name: &'static str, args: &str) -> Case {
    Case {
        name,
        args: args.to_owned(),
        variables: Vec::new(),
        program_name: None,
        home_file: File::Absent,
        etc_file: File::Absent,
        has_account: true,
        has_password: true,
        peers: Vec::new(),
        stdin: Stdin::Bytes(Vec::new()),
        redirection: "",
        typed: None,
        client: None,
        client_from_outside: false,
        client_delay: Duration::ZERO,
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

    /// Runs the program under this name.
    pub(crate) fn called(mut self, name: &'static str) -> Self {
        self.program_name = Some(name);
        self
    }

    /// Sets the contents of `~/.connectrc`.
    pub(crate) fn home_file(mut self, content: impl AsRef<[u8]>) -> Self {
        self.home_file = File::Contents(content.as_ref().to_vec());
        self
    }

    /// Sets the contents of `/etc/connectrc`.
    pub(crate) fn etc_file(mut self, content: impl AsRef<[u8]>) -> Self {
        self.etc_file = File::Contents(content.as_ref().to_vec());
        self
    }

    /// Makes `~/.connectrc` a directory.
    pub(crate) fn home_file_is_a_directory(mut self) -> Self {
        self.home_file = File::Directory;
        self
    }

    /// Removes the user from the user database.
    pub(crate) fn without_account(mut self) -> Self {
        self.has_account = false;
        self
    }

    /// Leaves `SOCKS5_PASSWORD` unset. By default it is `secret`, because without a password our
    /// program, unlike the C program, does not always offer password authentication.
    pub(crate) fn without_password(mut self) -> Self {
        self.has_password = false;
        self
    }

    /// Adds a peer that runs this script on every connection.
    pub(crate) fn peer(mut self, name: &'static str, script: Script) -> Self {
        self.peers.push((name, script));
        self
    }

    /// Sends this to stdin, then EOF. By default, stdin is empty.
    pub(crate) fn input(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = Stdin::Bytes(bytes.as_ref().to_vec());
        self
    }

    /// Sends this to stdin and keeps it open.
    pub(crate) fn input_stays_open(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = Stdin::Open(bytes.as_ref().to_vec());
        self
    }

    /// Starts the program with this shell redirection.
    pub(crate) fn redirected(mut self, redirection: &'static str) -> Self {
        self.redirection = redirection;
        self
    }

    /// Adds a terminal on which the user answers a prompt with this line.
    pub(crate) fn typed(mut self, line: &'static str) -> Self {
        self.typed = Some(line);
        self
    }

    /// Adds a client that connects to `{local}` as soon as possible.
    pub(crate) fn client(mut self, script: Script) -> Self {
        self.client = Some(script);
        self
    }

    /// Delays the client's connection by half a second.
    pub(crate) fn client_comes_late(mut self) -> Self {
        self.client_delay = Duration::from_millis(500);
        self
    }

    /// Makes the client first try an address of this machine other than 127.0.0.1.
    pub(crate) fn client_from_outside(mut self) -> Self {
        self.client_from_outside = true;
        self
    }

    /// Kills the C program after a short time, because it hangs in this case.
    pub(crate) fn theirs_hangs(mut self) -> Self {
        self.theirs_hangs = Some(Duration::from_millis(700));
        self
    }

    /// Expects the programs to differ in these aspects. docs/compat.md explains the difference
    /// under this id.
    pub(crate) fn differs(mut self, aspects: impl IntoIterator<Item = Aspect>, id: &'static str) -> Self {
        self.differences.extend(aspects.into_iter().map(|aspect| (aspect, id)));
        self
    }

    /// Expects the programs to differ in this aspect exactly as `translation` says.
    pub(crate) fn translated(mut self, aspect: Aspect, id: &'static str, translation: Translation) -> Self {
        self.translations.push((aspect, id, translation));
        self
    }

    /// Expects this text in the reports of both runs.
    pub(crate) fn both(mut self, part: &'static str) -> Self {
        self.checks.push((Side::Both, part));
        self
    }

    /// Expects this text in the report of the C program's run.
    pub(crate) fn theirs(mut self, part: &'static str) -> Self {
        self.checks.push((Side::Theirs, part));
        self
    }

    /// Expects this text in the report of our run.
    pub(crate) fn ours(mut self, part: &'static str) -> Self {
        self.checks.push((Side::Ours, part));
        self
    }

    /// Expects exit code zero from both programs.
    pub(crate) fn ok(self) -> Self {
        self.both("exit: zero")
    }

    /// Expects a nonzero exit code from both programs.
    pub(crate) fn fails(self) -> Self {
        self.both("exit: not zero")
    }

    /// Returns the ids of the differences that the case names.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &'static str> {
        let translations = self.translations.iter().map(|(_, id, _)| *id);
        self.differences.iter().map(|(_, id)| *id).chain(translations)
    }
}
