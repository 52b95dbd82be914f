//! Settings from ssh's own configuration (`--ssh-config`): what `ssh -G HOST` prints.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::addr::{Host, Port, parse_port};
use crate::cli::Args;
use crate::config::proxy_url::ProxyUrl;
use crate::config::sources::Sources;
use crate::error::{Error, os_message};
use crate::plan::{IdentityFile, Target};
use crate::secret::UserName;
use crate::ssh::known_hosts::Mode;
use crate::sys::{self, Program};
use crate::text::printable;
use crate::trace::trace;

/// Time limit for `ssh -G`, which may run `Match exec` commands.
const SSH_CONFIG_TIMEOUT: Duration = Duration::from_secs(10);

/// The settings that `ssh -G` prints.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OpenSshConfig {
    hostname: Option<String>,
    port: Option<String>,
    user: Option<String>,
    pub(super) identities: Vec<IdentityFile>,
    pub(super) only_identities: bool,
    pub(super) agent: Option<String>,
    pub(super) known_hosts: Vec<PathBuf>,
    pub(super) strict: Option<Mode>,
    /// The name of the server in `known_hosts`.
    pub(super) host_key_name: Option<String>,
    /// `ProxyJump` or `ProxyCommand`, which connect does not use.
    proxy: Option<Proxy>,
}

#[derive(Debug, PartialEq, Eq)]
enum Proxy {
    Jump(String),
    Command,
}

impl OpenSshConfig {
    /// Asks ssh for the settings of the server in this URL, and applies its address and user.
    /// Returns `None` without `--ssh-config`.
    pub(super) fn for_hop(
        url: &mut ProxyUrl,
        args: &Args,
        sources: &Sources<'_>,
    ) -> Result<Option<Self>, Error> {
        sources.mark_used("--ssh-config");
        let is_wanted = url.query.take("ssh-config").map_or(args.ssh.uses_config, |value| value != "no");
        let Target::Tcp(address) = url.target() else { return Ok(None) };
        if !is_wanted {
            return Ok(None);
        }
        let host = address.host.to_string();
        let failed = |cause: String| Error::Config(format!("cannot use --ssh-config for {host}: {cause}"));
        let mut options = vec![OsString::from("-G")];
        let text = |name: &UserName| sys::os_string(name.as_bytes().to_vec());
        if let Some(user) = &url.user {
            options.extend([OsString::from("-l"), text(user)]);
        }
        if url.has_port() {
            options.extend(["-p".into(), address.port.to_string().into()]);
        }
        options.extend(["--".into(), OsString::from(&host)]);
        trace!("running ssh -G for {host}");
        let output = sys::output_within(Program::Args("ssh".as_ref(), &options), SSH_CONFIG_TIMEOUT);
        let printed = match output {
            Ok(Some((status, printed))) if status.success() => printed,
            Ok(Some((status, _))) => return Err(failed(format!("ssh -G ended with {status}"))),
            Ok(None) => {
                let limit = SSH_CONFIG_TIMEOUT.as_secs();
                return Err(failed(format!("ssh -G did not end within {limit} seconds")));
            }
            Err(error) => return Err(failed(format!("cannot run ssh: {}", os_message(&error)))),
        };
        let config = Self::parse(&String::from_utf8_lossy(&printed), |path| sources.path(path));
        config.apply(url, &host).map_err(|error| match error {
            Problem::Usage(text) => Error::Usage(text),
            Problem::Invalid(text) => failed(text),
        })?;
        Ok(Some(config))
    }

    /// Parses the lines that `ssh -G` prints: a name in lower case, and a value.
    fn parse(text: &str, path: impl Fn(&str) -> PathBuf) -> Self {
        let mut config = Self::default();
        let mut certificates = Vec::new();
        for (name, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            let owned = || Some(value.to_owned());
            match name {
                "hostname" => config.hostname = owned(),
                "port" => config.port = owned(),
                "user" => config.user = owned(),
                "identityfile" if value != "none" => config.identities.push(IdentityFile {
                    path: path(value),
                    certificate: None,
                    is_optional: true,
                }),
                "certificatefile" if value != "none" => certificates.push(path(value)),
                "identitiesonly" => config.only_identities = value == "yes",
                "identityagent" => config.agent = owned(),
                "userknownhostsfile" | "globalknownhostsfile" if value != "none" => {
                    config.known_hosts.extend(value.split(' ').map(&path));
                }
                "stricthostkeychecking" => config.strict = Mode::parse(value),
                "hostkeyalias" if value != "none" => config.host_key_name = owned(),
                "proxyjump" if value != "none" => config.proxy = Some(Proxy::Jump(value.to_owned())),
                "proxycommand" if value != "none" && config.proxy.is_none() => {
                    config.proxy = Some(Proxy::Command);
                }
                _ => {}
            }
        }
        for path in &mut certificates {
            *path = config.expanded(path);
        }
        config.expand();
        // ssh offers each certificate with each key. Only the one of the key is of use.
        if let [certificate] = &certificates[..]
            && let [identity] = &mut config.identities[..]
        {
            identity.certificate = Some(certificate.clone());
        }
        config
    }

    /// Replaces `%h`, `%p` and `%r` in a file name by host, port and user, as ssh does.
    fn expanded(&self, path: &Path) -> PathBuf {
        let text = path.to_string_lossy();
        if !text.contains('%') {
            return path.to_owned();
        }
        let mut expanded = text.replace("%%", "\0");
        for (token, value) in [("%h", &self.hostname), ("%p", &self.port), ("%r", &self.user)] {
            expanded = expanded.replace(token, value.as_deref().unwrap_or_default());
        }
        expanded.replace('\0', "%").into()
    }

    /// Expands the names of all files except certificates.
    fn expand(&mut self) {
        for index in 0..self.identities.len() {
            self.identities[index].path = self.expanded(&self.identities[index].path);
        }
        for index in 0..self.known_hosts.len() {
            self.known_hosts[index] = self.expanded(&self.known_hosts[index]);
        }
    }

    /// Applies the address and the user.
    fn apply(&self, url: &mut ProxyUrl, host: &str) -> Result<(), Problem> {
        match &self.proxy {
            Some(Proxy::Jump(hops)) => {
                let hops = hops.split(',').map(|hop| format!("ssh://{hop}"));
                let chain: Vec<_> = hops.chain([format!("ssh://{host}")]).collect();
                return Err(Problem::Usage(format!(
                    "--ssh-config: ssh reaches {host} with ProxyJump; use -x '{}'",
                    printable(chain.join(",").as_bytes())
                )));
            }
            Some(Proxy::Command) => {
                return Err(Problem::Usage(format!(
                    "--ssh-config: ssh reaches {host} with ProxyCommand; name its proxy, as in -x \
                     'socks5://PROXY,ssh://{host}'"
                )));
            }
            None => {}
        }
        let quoted = |value: &str| format!("'{}'", printable(value.as_bytes()));
        let invalid = |what: &str, value: &str| {
            Problem::Invalid(format!("ssh -G printed the invalid {what} {}", quoted(value)))
        };
        let port = self.port.as_deref().map(|port| parse_port(port).ok_or_else(|| invalid("port", port)));
        let name = self.hostname.as_deref().unwrap_or(host);
        let address = Host::parse(name).map_err(|_| invalid("host name", name))?;
        url.set_address(address, port.transpose()?.unwrap_or(DEFAULT_PORT));
        if url.user.is_none() {
            url.user = self.user.as_ref().map(|user| UserName::from(user.as_str()));
        }
        Ok(())
    }
}

/// The port of SSH servers.
const DEFAULT_PORT: Port = match Port::new(22) {
    Some(port) => port,
    None => Port::MIN,
};

/// The reason why the settings cannot be used.
#[derive(Debug, PartialEq, Eq)]
enum Problem {
    Usage(String),
    Invalid(String),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

    use super::*;
    use crate::config::scheme::Syntax;

    const PRINTED: &str = "host box\nuser me\nhostname box.example\nport 2222\nidentitiesonly yes\n\
        stricthostkeychecking true\nidentityfile ~/.ssh/box_%r\nhostkeyalias box-key\nidentityagent none\n\
        certificatefile /etc/%r@%h:%p%%-cert.pub\n\
        userknownhostsfile /home/me/.ssh/known_hosts /home/me/.ssh/other\nglobalknownhostsfile /etc/ssh/all\n";

    fn parse(text: &str) -> OpenSshConfig {
        OpenSshConfig::parse(text, |path| path.replace("~/", "/home/me/").into())
    }

    fn url(text: &str) -> ProxyUrl {
        ProxyUrl::parse(text.as_bytes(), "-x", Syntax::Url).unwrap()
    }

    #[test]
    fn the_settings_of_a_host_are_used() {
        let config = parse(PRINTED);
        let identity = IdentityFile {
            path: "/home/me/.ssh/box_me".into(),
            certificate: Some("/etc/me@box.example:2222%-cert.pub".into()),
            is_optional: true,
        };
        assert_eq!(config.identities, [identity]);
        assert!(config.only_identities);
        assert_eq!((config.strict, config.agent.as_deref()), (Some(Mode::Yes), Some("none")));
        let files = ["/home/me/.ssh/known_hosts", "/home/me/.ssh/other", "/etc/ssh/all"];
        assert_eq!(config.known_hosts, files.map(PathBuf::from));
        assert_eq!(config.host_key_name.as_deref(), Some("box-key"));
        let mut url = url("ssh://box");
        assert_eq!(config.apply(&mut url, "box"), Ok(()));
        assert_eq!(url.target().to_string(), "box.example:2222");
        assert_eq!(url.user, Some(UserName::from("me")));
    }

    #[test]
    fn the_user_of_the_url_is_kept() {
        let mut url = url("ssh://you@box");
        assert_eq!(parse(PRINTED).apply(&mut url, "box"), Ok(()));
        assert_eq!(url.user, Some(UserName::from("you")));
    }

    #[test]
    fn a_proxy_is_refused_with_the_equivalent_route() {
        for (line, expected) in [
            ("proxyjump a,me@b:2222\n", "-x 'ssh://a,ssh://me@b:2222,ssh://box'"),
            ("proxycommand nc %h %p\n", "-x 'socks5://PROXY,ssh://box'"),
        ] {
            let Err(Problem::Usage(text)) = parse(line).apply(&mut url("ssh://box"), "box") else {
                panic!("{line} is accepted");
            };
            assert!(text.ends_with(expected), "{text}");
        }
        for line in ["proxyjump none\n", "proxycommand none\n"] {
            assert_eq!(parse(line).apply(&mut url("ssh://box"), "box"), Ok(()));
        }
    }

    #[test]
    fn invalid_addresses_are_refused() {
        for line in ["port 0\n", "port x\n", "hostname a b\n"] {
            let result = parse(line).apply(&mut url("ssh://box"), "box");
            assert!(matches!(result, Err(Problem::Invalid(_))), "{line}");
        }
    }
}
