//! Proxies that agree to everything, at once.

use std::io::{self, Read, Write};

use crate::competitors::Route;

/// Agrees to be the target that the other side asks for.
pub(crate) fn negotiate(route: Route, stream: &mut (impl Read + Write)) -> io::Result<()> {
    match route {
        Route::Direct => Ok(()),
        Route::Socks5 => socks5(stream),
        Route::Http => http(stream),
    }
}

fn socks5(stream: &mut (impl Read + Write)) -> io::Result<()> {
    let [_version, methods] = take(stream)?;
    skip(stream, methods.into())?;
    stream.write_all(&[5, 0])?;
    let [_version, _command, _reserved, kind] = take(stream)?;
    let address = match kind {
        1 => 4,
        3 => take::<1>(stream)?[0].into(),
        _ => 16,
    };
    skip(stream, address + 2)?;
    stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 22])
}

fn http(stream: &mut (impl Read + Write)) -> io::Result<()> {
    let mut head = Vec::new();
    // The head ends a segment: nobody may send more before the reply.
    while !head.ends_with(b"\r\n\r\n") {
        let mut piece = [0; 1024];
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => head.extend_from_slice(&piece[..length]),
        }
    }
    stream.write_all(b"HTTP/1.0 200 Connection established\r\n\r\n")
}

fn take<const LENGTH: usize>(stream: &mut impl Read) -> io::Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn skip(stream: &mut impl Read, length: usize) -> io::Result<()> {
    stream.read_exact(&mut vec![0; length])
}
