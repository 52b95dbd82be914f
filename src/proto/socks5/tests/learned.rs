//! Negotiations that remember how an earlier one has logged in.

use super::*;

/// Returns what a negotiation learns in a conversation in which the tunnel opens.
fn learned_by(machine: Socks5, turns: &[Turn<'_>]) -> Option<Learned> {
    let outcome = run(machine, turns, Cut::InOneLump);
    assert_eq!(outcome.result, Ok(()));
    outcome.learned
}

fn recalling(mut machine: Socks5, method: Method) -> Socks5 {
    assert!(machine.recall(&Learned::Socks5(method), Some(alice())));
    machine
}

const GREETING_NONE: &[u8] = &[5, 1, 0];
const GREETING_USERPASS: &[u8] = &[5, 1, 2];

fn request_and_reply() -> [Turn<'static>; 2] {
    [Turn::Sends(REQUEST), Turn::Proxy(GRANTED)]
}

fn login_turns() -> [Turn<'static>; 3] {
    [Turn::Proxy(USERPASS_SELECTED), Turn::Sends(USERPASS), Turn::Proxy(USERPASS_ACCEPTED)]
}

#[test]
fn user_and_password_are_offered_at_once_after_no_authentication_was_refused() {
    let machine = || offering(&[NoAuth]).falling_back_to_userpass(true);
    let learned = learned_by(machine(), &fallback_turns(Turn::Proxy(&[5, 0xff])));
    assert_eq!(learned, Some(Learned::Socks5(UserPass)));

    let machine = || recalling(machine(), UserPass);
    let turns = [&[Turn::Sends(GREETING_USERPASS)][..], &login_turns(), &request_and_reply()].concat();
    opens(machine, &turns);
    assert_eq!(learned_by(machine(), &turns), learned);
}

#[test]
fn no_authentication_is_offered_alone_after_the_proxy_has_selected_it() {
    let machine = || machine().with_credentials(Some(alice()));
    let turns = [&[Turn::Sends(GREETING), Turn::Proxy(NO_AUTH_SELECTED)], &request_and_reply()[..]].concat();
    let learned = learned_by(machine(), &turns);
    assert_eq!(learned, Some(Learned::Socks5(NoAuth)));

    let turns =
        [&[Turn::Sends(GREETING_NONE), Turn::Proxy(NO_AUTH_SELECTED)], &request_and_reply()[..]].concat();
    opens(|| recalling(machine(), NoAuth), &turns);
    assert_eq!(learned_by(recalling(machine(), NoAuth), &turns), learned);
    // A proxy that did not get everything at once before might not support that.
    opens(|| recalling(machine().eager(true), NoAuth), &turns);
    // Nothing is learned about a proxy that was offered nothing else.
    assert_eq!(learned_by(offering(&[NoAuth]), &turns), None);
}

#[test]
fn a_refused_remembered_method_is_replaced_by_the_normal_ones() {
    let [first, last] = request_and_reply();
    // The proxy now requires a password.
    let machine = || recalling(machine().with_credentials(Some(alice())), NoAuth);
    for refusal in [Turn::Proxy(&[5, 0xff]), Turn::Proxy(USERPASS_SELECTED), Turn::Closes] {
        let turns = [
            &[Turn::Sends(GREETING_NONE), refusal, Turn::Reconnects, Turn::Sends(GREETING)][..],
            &login_turns(),
            &request_and_reply(),
        ]
        .concat();
        opens(machine, &turns);
        assert_eq!(learned_by(machine(), &turns), None);
    }
    // The proxy no longer supports passwords, or no longer accepts this one.
    let machine = || recalling(offering(&[NoAuth]).falling_back_to_userpass(true), UserPass);
    let rejected = [Turn::Proxy(USERPASS_SELECTED), Turn::Sends(USERPASS), Turn::Proxy(&[1, 1])];
    let closed = [Turn::Proxy(USERPASS_SELECTED), Turn::Sends(USERPASS), Turn::Closes];
    for refusal in [
        &[Turn::Proxy(&[5, 0xff])][..],
        &[Turn::Proxy(NO_AUTH_SELECTED)],
        &[Turn::Closes],
        &rejected,
        &closed,
    ] {
        let turns = [
            &[Turn::Sends(GREETING_USERPASS)],
            refusal,
            &[Turn::Reconnects, Turn::Sends(GREETING_NONE), Turn::Proxy(NO_AUTH_SELECTED)],
            &[first.clone(), last.clone()],
        ]
        .concat();
        opens(machine, &turns);
        assert_eq!(learned_by(machine(), &turns), None);
    }
}

#[test]
fn a_rejected_password_is_not_sent_again_after_the_remembered_method() {
    let machine = || recalling(offering(&[NoAuth]).falling_back_to_userpass(true), UserPass);
    for refusal in [Turn::Proxy(&[5, 0xff]), Turn::Closes] {
        let turns = [
            Turn::Sends(GREETING_USERPASS),
            Turn::Proxy(USERPASS_SELECTED),
            Turn::Sends(USERPASS),
            Turn::Proxy(&[1, 1]),
            Turn::Reconnects,
            Turn::Sends(GREETING_NONE),
            refusal,
        ];
        assert_eq!(
            fails(machine, &turns),
            Error::WrongPassword { user: "alice".into(), text: String::new() }
        );
        assert_eq!(run(machine(), &turns, Cut::InOneLump).learned, None);
    }
}

#[test]
fn a_remembered_method_is_offered_only_if_that_makes_a_difference() {
    let userpass = Learned::Socks5(UserPass);
    // Without a password, offering user/password would cause a prompt.
    assert!(!offering(&[NoAuth]).falling_back_to_userpass(true).recall(&userpass, None));
    assert!(!offering(&[NoAuth]).recall(&userpass, Some(alice())));
    assert!(!machine().recall(&userpass, Some(alice())));
    let none = Learned::Socks5(NoAuth);
    assert!(!offering(&[NoAuth]).recall(&none, None));
    assert!(!offering(&[UserPass]).recall(&none, Some(alice())));
}
