//! The fallback to user and password, and pipelined requests (`--eager`).

use super::*;

#[test]
fn user_and_password_are_offered_only_after_no_authentication_was_refused() {
    let machine = || offering(&[NoAuth]).falling_back_to_userpass(true);
    // Some proxies select a method that was not offered, to say that they require it.
    for refusal in [Turn::Proxy(&[5, 0xff]), Turn::Proxy(USERPASS_SELECTED), Turn::Closes] {
        opens(machine, &fallback_turns(refusal));
    }
    let accepted =
        [Turn::Sends(&[5, 1, 0]), Turn::Proxy(NO_AUTH_SELECTED), Turn::Sends(REQUEST), Turn::Proxy(GRANTED)];
    opens(machine, &accepted);
    assert_eq!(methods_answered(&[NoAuth], &[5, 1, 0], USERPASS_SELECTED), Error::MethodNotOffered(2));
}

#[test]
fn the_fallback_to_user_and_password_happens_once() {
    let machine = || offering(&[NoAuth]).falling_back_to_userpass(true);
    let refused_twice = |answer| {
        let turns =
            [Turn::Sends(&[5, 1, 0]), Turn::Closes, Turn::Reconnects, Turn::Sends(&[5, 1, 2]), answer];
        fails(machine, &turns)
    };
    let offered = "accepts none of the offered authentication methods ('none', 'userpass')";
    assert_eq!(refused_twice(Turn::Proxy(&[5, 0xff])).to_string(), offered);
    assert_eq!(refused_twice(Turn::Closes), Error::Closed(Awaited::Socks5Method));
    assert_eq!(refused_twice(Turn::Proxy(NO_AUTH_SELECTED)), Error::MethodNotOffered(0));
    // A truncated reply refuses nothing.
    let truncated = [Turn::Sends(&[5, 1, 0]), Turn::Proxy(&[5]), Turn::Closes];
    assert_eq!(fails(machine, &truncated), Error::Closed(Awaited::Socks5Method));
}

/// The messages that an eager negotiation sends before the first reply.
const EVERYTHING: [&[u8]; 3] = [&[5, 1, 2], USERPASS, REQUEST];

#[test]
fn an_eager_negotiation_with_a_single_method_sends_everything_at_once() {
    let eager = || offering(&[UserPass]).with_credentials(Some(alice())).eager(true);
    let everything = EVERYTHING.concat();
    let answers = [USERPASS_SELECTED, USERPASS_ACCEPTED, GRANTED].concat();
    opens(eager, &[Turn::Sends(&everything), Turn::Proxy(&answers)]);

    let turns = [Turn::Sends(&everything), Turn::Proxy(USERPASS_SELECTED), Turn::Proxy(&[1, 1])];
    assert!(matches!(fails(eager, &turns), Error::WrongPassword { user, .. } if user == "alice"));
    let turns = [Turn::Sends(&everything), Turn::Proxy(NO_AUTH_SELECTED)];
    assert_eq!(fails(eager, &turns), Error::MethodNotOffered(0));
}

/// Without the password, the negotiation requests it and then sends one message at a time.
#[test]
fn an_eager_negotiation_without_the_password_is_not_pipelined() {
    let turns = [
        Turn::Sends(&[5, 1, 2]),
        Turn::Proxy(USERPASS_SELECTED),
        Turn::Asks(alice()),
        Turn::Sends(USERPASS),
        Turn::Proxy(USERPASS_ACCEPTED),
        Turn::Sends(REQUEST),
        Turn::Proxy(GRANTED),
    ];
    opens(|| offering(&[UserPass]).eager(true), &turns);
}

#[test]
fn a_restarted_eager_negotiation_sends_everything_again() {
    let mut machine = offering(&[UserPass]).with_credentials(Some(alice())).eager(true);
    assert!(!machine.is_fully_sent());
    machine.step().unwrap();
    assert!(machine.is_fully_sent());
    machine.receive(USERPASS_SELECTED).unwrap();
    machine.restart();
    assert!(!machine.is_fully_sent());
    let Ok(Step::Send(wire)) = machine.step() else { panic!("nothing sent") };
    assert_eq!(wire.bytes(), EVERYTHING.concat());
    assert_eq!(wire.masked(""), [EVERYTHING[0], REQUEST].concat());
    let (length, twice) = (wire.bytes().len(), wire.concat(&eager_message()));
    assert_eq!(twice.bytes().len(), 2 * length);
    assert_eq!(twice.masked(""), [EVERYTHING[0], REQUEST, EVERYTHING[0], REQUEST].concat());
}

fn eager_message() -> crate::proto::Wire {
    let mut machine = offering(&[UserPass]).with_credentials(Some(alice())).eager(true);
    let Ok(Step::Send(wire)) = machine.step() else { panic!("nothing sent") };
    wire
}
