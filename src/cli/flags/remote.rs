//! The flags for work at an SSH server.

use super::definition::{Definition, Flag, Offer, long_option, long_switch};

/// Work at an SSH server.
#[rustfmt::skip]
pub(super) const REMOTE: &[Definition] = &[
    long_option(Flag::Ssh, "ssh", "[USER@]HOST[:PORT]",
        "Run COMMAND, or a shell, at this SSH server",
        "Log in at this SSH server, and run COMMAND there, or a shell without COMMAND. `connect` joins the words of COMMAND with \
         blanks, and the user's shell at the server interprets them. The server is the end of the route, so there are no HOST and \
         PORT. The value may also be an `ssh://` URL with the options of an SSH hop. The options for `ssh://` servers \
         apply, and bypass lists apply to the server. The exit code is that of COMMAND, or 255 after any failure."),
    long_option(Flag::Env, "env", "NAME[=VALUE]",
        "With --ssh: set a variable of COMMAND; repeatable",
        "With `--ssh`: set this variable of COMMAND, if the server permits it. Without a value, `connect` passes on its own variable, \
         if that is set. Repeatable."),
    long_option(Flag::Tty, "tty", "auto|yes|no",
        "With --ssh: run COMMAND in a terminal (default auto)",
        "With `--ssh`: `yes` runs COMMAND in a terminal, and `no` runs it without one. `auto`, the default, requests a terminal for \
         a shell if standard input is a terminal.").offering(Offer::Words(&["auto", "yes", "no"])),
    long_option(Flag::Subsystem, "subsystem", "NAME",
        "With --ssh: start this subsystem instead of COMMAND",
        "With `--ssh`: start this subsystem of the server, such as `sftp`, instead of COMMAND."),
    long_option(Flag::LocalForward, "local-forward", "FROM=TO",
        "With --ssh: forward local connections to TO; repeatable",
        "With `--ssh`: listen at FROM on this machine, `[ADDR:]PORT` or `unix:PATH`, and forward each connection to TO, which the \
         server connects to: `[HOST:]PORT`, `unix:PATH`, or `queue:NAME` for a named queue at the server. The default ADDR is \
         loopback, and the default HOST is `localhost`. Without COMMAND, `connect` starts no shell and forwards until it is \
         stopped. Repeatable."),
    long_option(Flag::RemoteForward, "remote-forward", "FROM=TO",
        "With --ssh: forward connections from the server to TO; repeatable",
        "With `--ssh`: let the server listen at FROM, `[ADDR:]PORT`, `unix:PATH` or `queue:NAME`, and forward each connection to TO, \
         which this machine connects to: `[HOST:]PORT` or `unix:PATH`. The default ADDR is loopback, and the default HOST is \
         `localhost`. With port 0, the server chooses a port, and `connect` prints it. Repeatable."),
    long_switch(Flag::Put, "put",
        "With --ssh: copy files to the server (FILE... DEST)",
        "With `--ssh`: copy files to the server. The operands are FILE... DEST. If DEST is a directory, or ends with a `/`, the \
         copies go into it. Otherwise DEST is the name of the copy. Names at the server are relative to the login directory. `-` as \
         the only FILE is standard input."),
    long_switch(Flag::Get, "get",
        "With --ssh: copy files from the server (FILE... DEST)",
        "With `--ssh`: copy files from the server. The operands are FILE... DEST, as with `--put`. `-` as DEST is standard output."),
    long_switch(Flag::Recursive, "recursive",
        "With --put and --get: copy directories",
        "With `--put` and `--get`: copy directories with all that they contain."),
    long_switch(Flag::Preserve, "preserve",
        "With --put and --get: keep times and modes",
        "With `--put` and `--get`: keep the times of access and modification, and the modes."),
    long_option(Flag::CopyBy, "copy-by", "sftp|scp",
        "With --put and --get: use this protocol",
        "With `--put` and `--get`: use this protocol. The default is sftp, and scp if the server refuses the sftp \
         subsystem.").offering(Offer::Words(&["sftp", "scp"])),
];
