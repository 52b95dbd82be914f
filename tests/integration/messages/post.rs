//! Errors about POST tunnels.

use super::{Message, Row, row};
use crate::kit::*;

/// Returns a row with this command line.
fn args(variant: &'static str, situation: &'static str, args: &'static str) -> Row {
    row(2, variant, situation, "", move || Message::from_outcome(&connect(args).run()))
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        args(
            "Usage",
            "A listener for POST tunnels without a check of tokens",
            "--listen scgi://127.0.0.1:9001/tunnel localhost 22",
        ),
        args(
            "Usage",
            "A listener for POST tunnels and another kind of listener",
            "--listen scgi://127.0.0.1:9001/tunnel --listen 2222 --open localhost 22",
        ),
        args(
            "Usage",
            "An option without effect on POST tunnels",
            "--listen scgi://127.0.0.1:9001/tunnel --open --allow-to host.example localhost 22",
        ),
        args(
            "Config",
            "A listener for POST tunnels with an invalid path",
            "--listen scgi:unix:/run/tunnel?path=tunnel --open localhost 22",
        ),
        args(
            "Config",
            "A UNIX-domain socket for HTTP",
            "--listen post+http://unix:/run/tunnel --open localhost 22",
        ),
    ]
}
