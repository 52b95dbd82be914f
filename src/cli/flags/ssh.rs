//! The flags for SSH servers as hops.

use super::definition::{Definition, Flag, Offer, long_option, long_switch, option};

/// SSH servers.
#[rustfmt::skip]
pub(super) const SSH: &[Definition] = &[
    option(Flag::SshIdentity, 'i', "FILE",
        "Log in at ssh:// servers with this private key; repeatable",
        "Use this private key for `ssh://` servers. The file has OpenSSH's format, PKCS#8, PKCS#1 or SEC1. A public key selects \
         the private key in the agent. Without this option, `connect` tries the keys of the agent, then `~/.ssh/id_ed25519`, \
         `id_ecdsa` and `id_rsa`. Repeatable.").long("ssh-identity").offering(Offer::Files),
    long_option(Flag::SshCert, "ssh-cert", "FILE",
        "Use this certificate for the key of the -i before it",
        "Use this certificate for the key of the `-i` before it. Without this option, the certificate of `-i FILE` is \
         `FILE-cert.pub`, if that exists.").offering(Offer::Files),
    long_option(Flag::SshKnownHosts, "ssh-known-hosts", "FILE",
        "Read the host keys of ssh:// servers from this file; repeatable",
        "Read known host keys from this file instead of `~/.ssh/known_hosts`, `~/.ssh/known_hosts2`, `/etc/ssh/ssh_known_hosts` and \
         `/etc/ssh/ssh_known_hosts2`. New keys are added to the first file. Repeatable.").offering(Offer::Files),
    long_option(Flag::SshStrict, "ssh-strict", "yes|ask|accept-new|no",
        "Decide about unknown host keys (default ask)",
        "Apply this policy to host keys of `ssh://` servers, with the meaning of `StrictHostKeyChecking` in ssh_config(5). `yes` refuses \
         unknown keys, `ask` asks on the terminal or with `SSH_ASKPASS`, and `accept-new` adds the key of a server that has \
         none. `no` also accepts a changed key, but then sends no password.").offering(Offer::Words(&["yes", "ask", "accept-new", "no"])),
    long_option(Flag::SshPin, "ssh-pin", "SHA256:FINGERPRINT",
        "Accept only this host key",
        "Accept the host key with this fingerprint, as `ssh-keygen -l` prints it, and no other. `connect` then reads no files \
         with known host keys."),
    long_option(Flag::SshAgent, "ssh-agent", "auto|off|PATH",
        "Use the SSH agent at this socket (default: $SSH_AUTH_SOCK)",
        "Use the keys of the agent at this socket. `auto`, the default, means the socket in `SSH_AUTH_SOCK`, and `off` no \
         agent.").offering(Offer::Files),
    long_option(Flag::SshCiphers, "ssh-ciphers", "LIST",
        "Offer only these ciphers to ssh:// servers, in this order",
        "Offer these ciphers to `ssh://` servers, separated by commas, the preferred one first: `aes256-gcm@openssh.com`, \
         `aes128-gcm@openssh.com`, `chacha20-poly1305@openssh.com`, `aes256-ctr` and `aes128-ctr`. If the list names \
         `chacha20-poly1305@openssh.com`, it is used even if the server lacks strict key exchange (CVE-2023-48795)."),
    long_switch(Flag::SshCompress, "ssh-compress",
        "Compress the traffic with ssh:// servers",
        "Prefer `zlib@openssh.com` to no compression, in both directions, as `Compression yes` in ssh_config(5). Compression helps \
         on slow links, and costs time on fast ones. It begins after the login."),
    long_switch(Flag::SshConfig, "ssh-config",
        "Take settings for ssh:// servers from ssh -G",
        "Run `ssh -G HOST` for each `ssh://` server, and use what it prints from ssh_config(5): `HostName`, `Port`, `User`, \
         `IdentityFile`, `IdentitiesOnly`, `IdentityAgent`, `CertificateFile`, `UserKnownHostsFile`, `GlobalKnownHostsFile`, \
         `StrictHostKeyChecking` and `HostKeyAlias`. The URL and other options override them. A host that ssh reaches with \
         `ProxyJump` or `ProxyCommand` is an error."),
];
