//! The renewal of tokens.

use super::*;

/// Returns the token that the next request sends, if any.
fn sent_token(client: &mut Client, direction: Direction) -> Option<Vec<u8>> {
    let (body, _) = sent(client, direction, secs(0));
    let (request, _) = Request::decode(&body).unwrap();
    request.opening.map(|opening| opening.token.to_vec())
}

fn token(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

/// Returns a client with a request in flight in each direction.
fn busy_client() -> Client {
    let mut client = open_client();
    client.push(b"abc", secs(0));
    sent(&mut client, Direction::Up, secs(0));
    sent(&mut client, Direction::Down, secs(0));
    client
}

#[test]
fn a_new_token_continues_an_open_tunnel() {
    let expired = response(401, "text/plain", b"token expired at TIME");
    let opened = answer(Answer { is_opened: true, ..Answer::default() }, b"");
    for (first, other) in [(Direction::Up, Direction::Down), (Direction::Down, Direction::Up)] {
        let mut client = busy_client();
        client.answered(first, &expired, secs(0));
        assert!(client.needs_token());
        assert_eq!(client.next(first, secs(0)), Next::Wait(None));
        client.renew(first, token("new"));
        // The other request had the old token.
        client.answered(other, &expired, secs(0));
        assert!(!client.needs_token());
        assert_eq!(client.next(other, secs(0)), Next::Wait(None));
        assert_eq!(sent_token(&mut client, first), Some(b"new".to_vec()));
        client.answered(first, &opened, secs(0));
        assert!(!client.is_suspended());
        assert_eq!(sent_token(&mut client, Direction::Up), None);
        assert_eq!(sent_token(&mut client, Direction::Down), None);
    }
}

#[test]
fn a_late_rejection_of_the_old_token_is_ignored() {
    let mut client = busy_client();
    let expired = response(401, "text/plain", b"token expired at TIME");
    client.answered(Direction::Up, &expired, secs(0));
    client.renew(Direction::Up, token("new"));
    assert_eq!(sent_token(&mut client, Direction::Up), Some(b"new".to_vec()));
    client.answered(Direction::Up, &answer(Answer { is_opened: true, ..Answer::default() }, b""), secs(0));
    client.answered(Direction::Down, &expired, secs(0));
    assert!(!client.is_suspended() && client.failure().is_none());
}

#[test]
fn a_token_that_has_not_changed_ends_the_tunnel_with_a_reset() {
    for renewed in ["token", "new"] {
        let mut client = open_client();
        sent(&mut client, Direction::Down, secs(0));
        client.answered(Direction::Down, &response(401, "text/plain", b"why"), secs(0));
        client.renew(Direction::Down, token(renewed));
        if renewed == "new" {
            assert_eq!(sent_token(&mut client, Direction::Down), Some(b"new".to_vec()));
            client.answered(Direction::Down, &response(401, "text/plain", b"why"), secs(0));
            client.renew(Direction::Down, token("new"));
        }
        assert_eq!(client.failure(), Some(&Failure::Token("why".into())));
        let (body, _) = sent(&mut client, Direction::Up, secs(0));
        assert!(Request::decode(&body).unwrap().0.is_reset);
        client.answered(Direction::Up, &response(401, "text/plain", b"why"), secs(0));
        assert!(client.is_done());
    }
}
