//! Round trips through the library: independent parsers read back what it writes, and its own
//! parsers read back values in various spellings. The seed is fixed, so every run tests the same
//! cases. The fuzz targets look for new ones.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use base64::Engine as _;
use connect::addr::{Endpoint, Host, Port, parse_port, split_port};
use connect::bypass::{BypassList, Entry, Pattern, Prefix};
use connect::cli::{Args, ProxyArg};
use connect::config::{self, Sources};
use connect::plan::{Login, Plan, Target};
use connect::proto::{
    Credentials, HttpConnect, HttpSettings, Limit, Negotiation, Socks4, Socks5, Socks5Method, Step,
};
use connect::secret::{Secret, UserName};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::kit::TempPath;

/// Returns a proptest configuration with a fixed seed. It does not save failing cases to a file:
/// write a separate test for each one instead.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 200,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1928),
        ..ProptestConfig::default()
    }
}

const NAME: &str = "[a-z0-9_-]{1,20}(\\.[a-z0-9-]{1,20}){0,3}";

fn host() -> impl Strategy<Value = Host> {
    let name = prop_oneof![
        NAME,
        "[a-zäöüßé]{1,30}\\.example\\.?",
        "fe80::[0-9a-f]{1,4}%[a-z0-9]{1,8}",
        "[a-z]{255}"
    ];
    prop_oneof![
        name.prop_map(|name| Host::parse(&name).unwrap()),
        any::<Ipv4Addr>().prop_map(|ip| Host::Ip(ip.into())),
        any::<Ipv6Addr>().prop_map(|ip| Host::Ip(ip.into())),
    ]
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (host(), 1..=u16::MAX).prop_map(|(host, port)| Endpoint { host, port: Port::new(port).unwrap() })
}

/// Generates a user name and a password, each at least 1 and at most 255 bytes long.
fn credentials() -> impl Strategy<Value = Credentials> {
    let bytes = || prop::collection::vec(any::<u8>(), 1..=255);
    (bytes(), bytes()).prop_map(|(user, password)| Credentials {
        user: UserName::new(user),
        password: Secret::new(password),
    })
}

/// Builds the plan for a proxy option, an environment variable and a parameter file.
fn plan(proxy: ProxyArg, variable: Option<(&str, &str)>, file: Option<PathBuf>) -> Plan {
    let args = Args { proxy, host: "host.example".into(), port: Some("22".into()), ..Args::default() };
    let value =
        |name: &str| variable.filter(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
    let warn = |line: &str| panic!("{line}");
    config::plan(&args, &Sources::with_files(&value, &warn, file.into_iter().collect())).unwrap()
}

fn login(plan: &Plan) -> (&str, &[u8]) {
    let login = plan.routes[0].hops[0].protocol.login().unwrap();
    let Login { user: Some(user), password: Some(password), .. } = login else { panic!("{login:?}") };
    (user.to_str().unwrap(), password.expose())
}

/// Returns the bytes that a negotiation sends next.
fn sent(machine: &mut impl Negotiation) -> Vec<u8> {
    match machine.step().unwrap() {
        Step::Send(wire) => wire.bytes().to_vec(),
        other => panic!("{other:?}"),
    }
}

/// A reader that consumes a byte string from the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_first_chunk().unwrap();
        self.0 = rest;
        *taken
    }

    fn with_length(&mut self) -> Vec<u8> {
        let [length] = self.take();
        let (taken, rest) = self.0.split_at(length.into());
        self.0 = rest;
        taken.to_vec()
    }

    fn up_to_nul(&mut self) -> Vec<u8> {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap();
        let (taken, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        taken.to_vec()
    }

    /// Reads a SOCKS5 request (RFC 1928 §4 and §5) and returns its target.
    fn socks5_target(&mut self) -> Endpoint {
        assert_eq!(self.take(), [5, 1, 0]);
        let host = match self.take() {
            [1] => Host::Ip(self.take::<4>().into()),
            [3] => Host::parse(&String::from_utf8(self.with_length()).unwrap()).unwrap(),
            [4] => Host::Ip(self.take::<16>().into()),
            other => panic!("{other:?}"),
        };
        Endpoint { host, port: Port::new(u16::from_be_bytes(self.take())).unwrap() }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_displayed_endpoint_is_parsed_back(endpoint in endpoint()) {
        let shown = endpoint.to_string();
        let (host, port) = split_port(&shown);
        prop_assert_eq!(Host::parse(host).unwrap(), endpoint.host);
        prop_assert_eq!(port.and_then(parse_port), Some(endpoint.port));
    }

    #[test]
    fn the_proxy_has_the_address_in_its_url(proxy in endpoint(), scheme in "(|http://|HTTP://)", path in "(|/|/[a-z/?]{0,9})") {
        let plan = plan(ProxyArg::Http(format!("{scheme}{proxy}{path}")), None, None);
        prop_assert_eq!(&plan.routes[0].hops[0].proxy, &Target::Tcp(proxy));
    }

    #[test]
    fn user_and_password_survive_percent_encoding(user in "\\PC{0,20}", password in prop::collection::vec(any::<u8>(), 0..20)) {
        let encode = |bytes: &[u8]| -> String {
            let encode = |byte: &u8| match byte {
                byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
                byte => format!("%{byte:02X}"),
            };
            bytes.iter().map(encode).collect::<Vec<_>>().concat()
        };
        let url = format!("socks5://{}:{}@host.example", encode(user.as_bytes()), encode(&password));
        let plan = plan(ProxyArg::Socks(url), None, None);
        prop_assert_eq!(login(&plan), (user.as_str(), password.as_slice()));
    }

    #[test]
    fn user_and_password_are_literal_without_a_scheme(
        user in "[^:\\p{C}]{0,20}",
        password in prop_oneof!["\\PC{0,20}", "[:/@%a]{0,9}"].prop_filter("a URL", |it| !it.starts_with("//")),
    ) {
        let plan = plan(ProxyArg::Socks(format!("{user}:{password}@host.example:1")), None, None);
        prop_assert_eq!(login(&plan), (user.as_str(), password.as_bytes()));
        prop_assert_eq!(plan.routes[0].hops[0].proxy.to_string(), "host.example:1");
    }

    #[test]
    fn a_socks5_server_reads_back_the_request(target in endpoint(), credentials in credentials()) {
        let methods = vec![Socks5Method::UserPass];
        let mut machine = Socks5::new(target.clone(), methods).with_credentials(Some(credentials.clone())).eager(true);
        let all = sent(&mut machine);
        let mut reader = Reader(&all);
        prop_assert_eq!(reader.take(), [5, 1, 2]);
        prop_assert_eq!(reader.take(), [1]);
        prop_assert_eq!(reader.with_length(), credentials.user.as_bytes());
        prop_assert_eq!(reader.with_length(), credentials.password.expose());
        prop_assert_eq!(reader.socks5_target(), target);
        prop_assert_eq!(reader.0, b"");
    }

    #[test]
    fn a_socks4_server_reads_back_the_request(target in endpoint(), user in "\\PC{0,60}") {
        let mut machine = Socks4::new(target.clone(), user.as_str().into());
        if let Host::Ip(IpAddr::V6(_)) = target.host {
            prop_assert!(machine.check().is_err() && machine.step().is_err());
            return Ok(());
        }
        let request = sent(&mut machine);
        let mut reader = Reader(&request);
        prop_assert_eq!(reader.take(), [4, 1]);
        prop_assert_eq!(u16::from_be_bytes(reader.take()), target.port.get());
        let address: [u8; 4] = reader.take();
        prop_assert_eq!(reader.up_to_nul(), user.as_bytes());
        match &target.host {
            Host::Name(name) => {
                prop_assert!(matches!(address, [0, 0, 0, x] if x != 0), "{address:?}");
                prop_assert_eq!(reader.up_to_nul(), name.as_str().as_bytes());
            }
            Host::Ip(ip) => prop_assert_eq!(IpAddr::from(address), *ip),
        }
        prop_assert_eq!(reader.0, b"");
    }

    #[test]
    fn an_http_proxy_reads_back_the_request(target in endpoint(), user in "[^:\\p{C}]{0,30}", password in "\\PC{0,30}") {
        let credentials = Credentials { user: user.as_str().into(), password: Secret::from(password.as_str()) };
        let mut machine = HttpConnect::new(target.clone(), HttpSettings::default(), || None).with_credentials(Some(credentials));
        let request = String::from_utf8(sent(&mut machine)).unwrap();
        let lines: Vec<_> = request.split("\r\n").collect();
        let [line, host, authorization, "", ""] = lines[..] else { panic!("{request:?}") };
        let authority = line.strip_prefix("CONNECT ").and_then(|rest| rest.strip_suffix(" HTTP/1.1")).unwrap();
        prop_assert_eq!(host.strip_prefix("Host: "), Some(authority));
        let (host, port) = split_port(authority);
        prop_assert_eq!((Host::parse(host), port.and_then(parse_port)), (Ok(target.host), Some(target.port)));
        let basic = authorization.strip_prefix("Proxy-Authorization: Basic ").unwrap();
        let plain = base64::engine::general_purpose::STANDARD.decode(basic).unwrap();
        prop_assert_eq!(String::from_utf8(plain).unwrap(), format!("{user}:{password}"));
    }

    #[test]
    fn a_digest_answer_repeats_the_challenge(user in "[^\\p{C}]{0,30}", texts in prop::array::uniform3("[^\\p{C}\u{fffd}]{0,30}")) {
        let credentials = Credentials { user: user.as_str().into(), password: Secret::from("pw") };
        let target = Endpoint { host: Host::parse("host.example").unwrap(), port: Port::new(22).unwrap() };
        let mut machine = HttpConnect::new(target, HttpSettings::default(), || Some([1; 16]));
        machine.step().unwrap();
        let quoted = texts.each_ref().map(|text| text.replace('\\', "\\\\").replace('"', "\\\""));
        let [realm, nonce, opaque] = quoted;
        let challenge = format!("Digest realm=\"{realm}\" , opaque = \"{opaque}\",,nonce=\"{nonce}\"");
        let head = format!("HTTP/1.1 407 x\r\nProxy-Authenticate: {challenge}\r\nContent-Length: 0\r\n\r\n");
        prop_assert_eq!(machine.receive(head.as_bytes()).unwrap(), head.len());
        machine.credentials(credentials).unwrap();
        let request = String::from_utf8(sent(&mut machine)).unwrap();
        let answer = request.split("\r\nProxy-Authorization: Digest ").nth(1).unwrap();
        for (name, expected) in ["username", "realm", "nonce", "opaque"].into_iter().zip([&user].into_iter().chain(&texts)) {
            let start = answer.split(&format!("{name}=\"")).nth(1).unwrap();
            // The value ends at the first quote that is not escaped.
            let (mut value, mut characters) = (String::new(), start.chars());
            while let Some(c) = characters.next().filter(|&c| c != '"') {
                value.push(if c == '\\' { characters.next().unwrap() } else { c });
            }
            prop_assert_eq!(&value, expected, "{}", name);
        }
    }

    #[test]
    fn a_reply_is_consumed_to_its_last_byte_and_no_further(bound in endpoint(), early in prop::collection::vec(any::<u8>(), 0..20)) {
        let address = match &bound.host {
            Host::Name(name) => [&[3, u8::try_from(name.as_str().len()).unwrap()], name.as_str().as_bytes()].concat(),
            Host::Ip(IpAddr::V4(ip)) => [&[1][..], &ip.octets()].concat(),
            Host::Ip(IpAddr::V6(ip)) => [&[4][..], &ip.octets()].concat(),
        };
        let reply = [&[5, 0, 5, 0, 0], &address[..], &bound.port.get().to_be_bytes()].concat();
        let stream = [&reply[..], &early].concat();
        let mut machine = Socks5::new(bound, vec![Socks5Method::None]);
        let mut rest = &stream[..];
        loop {
            match machine.step().unwrap() {
                Step::Send(_) => {}
                Step::Receive(Limit::Bytes(limit)) => {
                    let taken = machine.receive(&rest[..limit.min(rest.len())]).unwrap();
                    rest = &rest[taken..];
                }
                step => break prop_assert_eq!(step, Step::Done),
            }
        }
        prop_assert_eq!(rest, &early[..]);
    }

    #[test]
    fn a_quoted_value_in_a_file_is_read_back(value in "[^'\\p{C}]{0,40}", after in "( *|\t# .{0,9})") {
        // The value may contain double quotes, because it is in single quotes.
        let file = TempPath::file("connectrc", format!("CONNECT_USER = wrong\r\n CONNECT_USER='{value}'{after}\r\n# end"));
        let plan = plan(ProxyArg::Http("proxy.example".into()), None, Some(file.to_path_buf()));
        prop_assert_eq!(plan.routes[0].hops[0].protocol.user(), Some(&value.as_str().into()));
    }

    #[test]
    fn a_bypass_list_is_read_back(entries in prop::collection::vec((any::<bool>(), pattern()), 0..8), comma in " ?, {0,2}") {
        let parts: Vec<_> =
            entries.iter().map(|(bypass, (entry, _))| if *bypass { entry.clone() } else { format!("!{entry}") }).collect();
        let expected = entries.into_iter().map(|(bypass, (_, pattern))| Entry { bypass, pattern, port: None }).collect();
        let plan = plan(ProxyArg::Socks("proxy.example".into()), Some(("SOCKS5_DIRECT", &parts.join(&comma))), None);
        prop_assert_eq!(&plan.routes[0].bypass.list, &BypassList::new(expected));
    }
}

/// Generates the text of a bypass list entry, together with the pattern that it stands for.
fn pattern() -> impl Strategy<Value = (String, Pattern)> {
    let network = |ip: IpAddr, length| Pattern::Network(Prefix::new(ip, length).unwrap());
    prop_oneof![
        (any::<Ipv4Addr>(), 0..=32u8)
            .prop_map(move |(ip, length)| (format!("{ip}/{length}"), network(ip.into(), length))),
        (any::<Ipv4Addr>(), 1..=32u8).prop_map(move |(ip, length)| {
            let mask = Ipv4Addr::from_bits(u32::MAX << (32 - length));
            (format!("{ip}/{mask}"), network(ip.into(), length))
        }),
        (prop::collection::vec(any::<u8>(), 1..=4), any::<bool>()).prop_map(move |(given, dot)| {
            let parts: Vec<_> = given.iter().map(u8::to_string).collect();
            let mut bytes = [0; 4];
            bytes[..given.len()].copy_from_slice(&given);
            let dot = if dot && given.len() < 4 { "." } else { "" };
            (parts.join(".") + dot, network(bytes.into(), u8::try_from(given.len() * 8).unwrap()))
        }),
        (any::<Ipv6Addr>(), 0..=128u8)
            .prop_map(move |(ip, length)| (format!("{ip}/{length}"), network(ip.into(), length))),
        any::<Ipv6Addr>().prop_map(move |ip| (format!("[{ip}]"), network(ip.into(), 128))),
        ("(|\\.|\\*\\.)", "[a-z][a-z0-9_-]{0,9}(\\.[a-z0-9]{1,9}){0,2}", "\\.?")
            .prop_map(|(before, name, after)| (format!("{before}{name}{after}"), Pattern::Domain(name))),
    ]
}
