//! The port in the program's name: a link named `connect-25` connects to port 25.

use std::ffi::OsStr;

/// The suffix that Debian adds to the C program (`connect-proxy`). `proxy` is not a service name.
const NOT_A_PORT: &str = "proxy";

/// Returns the port if the program is named `connect-PORT`, ignoring its directory and everything
/// from the first dot on. `None` for any other name, including `connect-proxy`.
pub(super) fn port(program: &OsStr) -> Option<String> {
    let name = program.to_str()?.rsplit(['/', '\\']).next()?;
    let stem = name.split('.').next()?;
    let port = stem.strip_prefix("connect-")?;
    (!port.is_empty() && port != NOT_A_PORT).then(|| port.to_owned())
}

#[cfg(test)]
mod tests {
    use super::port;

    #[test]
    fn the_port_is_between_dash_and_dot() {
        for (program, expected) in [
            ("connect-25", Some("25")),
            ("/usr/local/bin/connect-25", Some("25")),
            ("./connect-smtp", Some("smtp")),
            ("connect-smtp.exe", Some("smtp")),
            (r"C:\bin\connect-25.exe", Some("25")),
            ("connect-25.tar.gz", Some("25")),
            ("connect-25-x", Some("25-x")),
            ("connect.dir/connect-25", Some("25")),
            ("connect-proxy", None),
            ("connect-proxy.exe", None),
            ("connect-http/foo", None),
            ("connect", None),
            ("connect-", None),
            ("myconnect-25", None),
            ("", None),
        ] {
            assert_eq!(port(program.as_ref()).as_deref(), expected, "{program}");
        }
    }
}
