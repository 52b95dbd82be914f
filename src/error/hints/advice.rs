//! Advice for failures of several kinds.

pub(super) const CHECK_TYPE: &str = "check the type and port of the proxy";
pub(super) const LEAVE_OUT_TLS: &str =
    "check the port, or leave out --tls-target if the target does not use TLS";
pub(super) const NEW_TOKEN: &str = "get a new token";
