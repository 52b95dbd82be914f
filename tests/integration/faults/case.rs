//! The fault matrix: in every turn of every conversation, each kind of fault replaces the valid
//! answer. The kind and the turn determine the expected verdict.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::conversation::{Conversation, Question, Turn, all};
use super::hostile::{bad_heads, garbage, good_heads, refusals};
use crate::kit::bytes;

/// The greeting that the target sends through the tunnel.
pub(crate) const WELCOME: &[u8] = b"SSH-2.0-welcome\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// No fault.
    Right,
    Close,
    Reset,
    Silence,
    Slow,
    Garbage,
    Refusal,
    TooMuch,
    Split,
    Early,
    Repeat,
    /// HTTP response heads that look valid but are not, and heads that look invalid but are valid.
    Lookalike,
}

impl Kind {
    pub(crate) const ALL: [Self; 12] = [
        Self::Right,
        Self::Close,
        Self::Reset,
        Self::Silence,
        Self::Slow,
        Self::Garbage,
        Self::Refusal,
        Self::TooMuch,
        Self::Split,
        Self::Early,
        Self::Repeat,
        Self::Lookalike,
    ];
}

/// An action by the peer. A list of actions replaces the valid answer.
#[derive(Clone)]
pub(crate) enum Act {
    Send(Vec<u8>),
    /// Send one byte at a time, with this pause after each.
    Drip(Vec<u8>, Duration),
    Pause(Duration),
    /// Send the first part once, then repeat the second part endlessly.
    Flood(Vec<u8>, Vec<u8>),
    Close,
    Reset,
    Hold,
    /// Continue with the next turn or, after the last turn, with the session.
    Continue,
    /// Half-close, then discard input until EOF.
    Finish,
}

/// The expected result of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A session with exactly this output.
    Session(Vec<u8>),
    /// A failure with this exit code, a one-line error message, and no output.
    Fails(i32),
}

/// One fault in one turn.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) conversation: Arc<Conversation>,
    pub(crate) turn: usize,
    pub(crate) kind: Kind,
    /// The variant of the fault.
    which: String,
    pub(crate) acts: Vec<Act>,
    pub(crate) verdict: Verdict,
    /// The value of `-w`.
    pub(crate) limit: u64,
}

impl Case {
    /// Returns `protocol/turn/kind/which`, the name by which `FAULT` selects the case.
    pub(crate) fn name(&self) -> String {
        let kind = format!("{:?}", self.kind).to_lowercase();
        format!("{}/{}/{kind}/{}", self.conversation.name, self.turn, self.which)
    }
}

/// Returns all cases of a kind.
pub(crate) fn cases(kind: Kind) -> Vec<Case> {
    let conversations = all().into_iter().map(Arc::new);
    let turns = conversations.flat_map(|conversation| {
        (0..conversation.turns.len()).map(move |turn| At { conversation: Arc::clone(&conversation), turn })
    });
    turns.flat_map(|at| at.cases(kind)).collect()
}

/// A position in a conversation.
struct At {
    conversation: Arc<Conversation>,
    turn: usize,
}

impl At {
    fn turn(&self) -> &Turn {
        &self.conversation.turns[self.turn]
    }

    fn answer(&self) -> &[u8] {
        &self.turn().answer
    }

    fn is_last(&self) -> bool {
        self.turn + 1 == self.conversation.turns.len()
    }

    fn case(
        &self,
        kind: Kind,
        which: impl Into<String>,
        acts: impl Into<Vec<Act>>,
        verdict: Verdict,
    ) -> Case {
        // Cases that must not time out get 20 seconds.
        let limit = match (kind, &verdict) {
            (Kind::Slow, _) => 2,
            (_, Verdict::Fails(7)) => 1,
            _ => 20,
        };
        let (conversation, which) = (Arc::clone(&self.conversation), which.into());
        Case { conversation, turn: self.turn, kind, which, acts: acts.into(), verdict, limit }
    }

    fn cases(&self, kind: Kind) -> Vec<Case> {
        let case = |which: String, acts: Vec<Act>, verdict| self.case(kind, which, acts, verdict);
        let welcome = || Verdict::Session(WELCOME.to_vec());
        let cut = |at: usize| Act::Send(self.answer()[..at].to_vec());
        let length = self.answer().len();
        match kind {
            Kind::Right if self.turn > 0 => Vec::new(),
            Kind::Right => {
                vec![case("valid".into(), vec![cut(length), Act::Continue], welcome())]
            }
            Kind::Close => {
                let close = |at| case(format!("after-{at}"), vec![cut(at), Act::Close], self.when_closed(at));
                (0..length).map(close).collect()
            }
            // Reset only before the decisive bytes. The kernel may discard received data on a
            // reset, so after the decisive bytes either outcome would be correct.
            Kind::Reset => [0, 1, self.turn().settled_at / 2]
                .map(|at| case(format!("after-{at}"), vec![cut(at), Act::Reset], Verdict::Fails(5)))
                .into(),
            Kind::Silence => [0, 1, length / 2, length - 1]
                .map(|at| case(format!("after-{at}"), vec![cut(at), Act::Hold], Verdict::Fails(7)))
                .into(),
            Kind::Slow => [self.answer(), self.turn().interim.as_bytes()]
                .into_iter()
                .filter(|bytes| !bytes.is_empty())
                .map(|bytes| {
                    case(
                        bytes.len().to_string(),
                        vec![Act::Drip(bytes.to_vec(), Duration::from_secs(1)), Act::Hold],
                        Verdict::Fails(7),
                    )
                })
                .collect(),
            Kind::Garbage => self.garbage(),
            Kind::Refusal => self.refusals(),
            Kind::TooMuch => self.too_much(),
            Kind::Split => self.split(&welcome()),
            Kind::Early => vec![self.early()],
            Kind::Repeat => self.repeat(),
            Kind::Lookalike => self.lookalike(),
        }
    }

    /// Returns the expected verdict if the proxy closes after this many bytes of its answer.
    fn when_closed(&self, at: usize) -> Verdict {
        match self.turn().question {
            // RFC 1929 §2: a server that rejects the password closes the connection, so EOF instead
            // of an answer counts as a rejection.
            Question::UserPass if at == 0 => Verdict::Fails(6),
            // The proxy's challenge is complete, so `connect` answers on a new connection.
            _ if at >= self.turn().settled_at => Verdict::Session(WELCOME.to_vec()),
            _ => Verdict::Fails(5),
        }
    }

    /// Returns cases in which the peer sends garbage. That is an immediate error, whether the peer
    /// then closes or waits. Exceptions: a telnet-style proxy may send any text before its answer,
    /// and the second byte of a login status is the status, whatever the first.
    fn garbage(&self) -> Vec<Case> {
        let question = self.turn().question;
        let each = garbage(question).into_iter().flat_map(|(which, bytes)| {
            let (closed, held) = match (question, bytes.len()) {
                (Question::Telnet, _) | (Question::UserPass, 1) => (5, 7),
                (Question::UserPass, _) => (6, 6),
                _ => (5, 5),
            };
            [("closed", Act::Close, closed), ("held", Act::Hold, held)].map(|(then, act, exit)| {
                let acts = [Act::Send(bytes.clone()), act];
                self.case(Kind::Garbage, format!("{which}-{then}"), acts, Verdict::Fails(exit))
            })
        });
        each.collect()
    }

    fn refusals(&self) -> Vec<Case> {
        let case = |(which, answer, exit)| {
            self.case(Kind::Refusal, which, [Act::Send(answer), Act::Close], Verdict::Fails(exit))
        };
        let mut all: Vec<_> = refusals(self.turn().question, self.turn > 0).into_iter().map(case).collect();
        if self.turn().question == Question::Http {
            // The program does not wait for the rest of an error page that arrives slowly.
            let head = b"HTTP/1.1 403 No\r\n\r\n".to_vec();
            let page = Act::Drip(vec![b'.'; 4000], Duration::from_millis(100));
            all.push(self.case(Kind::Refusal, "slowly", [Act::Send(head), page], Verdict::Fails(5)));
        }
        all
    }

    /// Returns cases in which the peer sends endless data, in most of them after a valid start.
    fn too_much(&self) -> Vec<Case> {
        let fails = |exit, which: &str, start: &[u8], unit: &[u8]| {
            let acts = [Act::Flood(start.to_vec(), unit.to_vec())];
            self.case(Kind::TooMuch, which, acts, Verdict::Fails(exit))
        };
        let flood = |which: &str, start: &[u8], unit: &[u8]| fails(5, which, start, unit);
        let text = |which: &str, start: &str, unit: &str| flood(which, start.as_bytes(), unit.as_bytes());
        // As a login status, the ones reject the password.
        let exit_for_ones = |turn: Option<&Turn>| match turn.map(|turn| turn.question) {
            Some(Question::UserPass) => 6,
            _ => 5,
        };
        let mut all = vec![fails(exit_for_ones(Some(self.turn())), "ones", &[], &[0xff; 1000])];
        match self.turn().question {
            Question::Telnet => {
                all.push(text("a line", "Welcome", &" to the gate".repeat(100)));
                all.push(text("lines", "", &"Welcome to the gate\r\n".repeat(50)));
            }
            Question::Http => {
                for start in ["HTTP/1.1 200 ", "HTTP/1.1 407 ", "HTTP/1.1 ", "HTTP/1."] {
                    all.push(text(&format!("a line after {start}"), start, &"0".repeat(1000)));
                }
                let field = format!("X: {}\r\n", "y".repeat(500));
                all.push(text("fields", "HTTP/1.1 200 OK\r\n", &field));
                all.push(text("short fields", "HTTP/1.1 200 OK\r\n", &"a:\n".repeat(300)));
                all.push(text("folds", "HTTP/1.1 200 OK\r\nX: y", &"\r\n z".repeat(300)));
                let page = "<p>no</p>\r\n".repeat(100);
                all.push(text("a refusal", "HTTP/1.1 403 No\r\n\r\n", &page));
                all.push(text(
                    "a long refusal",
                    "HTTP/1.1 403 No\r\nContent-Length: 18446744073709551615\r\n\r\n",
                    &page,
                ));
                let chunked = "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n";
                all.push(text("chunks", chunked, &"5\r\nhello\r\n".repeat(100)));
                all.push(text("a chunk", &format!("{chunked}fffffffffffffff\r\n"), &page));
                all.push(text("a chunk's size", chunked, &"0".repeat(1000)));
                all.push(text("a chunk's extension", &format!("{chunked}5;"), &"a=b;".repeat(300)));
                all.push(text("trailers", &format!("{chunked}0\r\n"), &field));
                all.extend(self.too_much_asking());
            }
            _ => {}
        }
        // After the last answer, any further data belongs to the session.
        if !self.is_last() && !self.turn().question.is_text() {
            let exit = exit_for_ones(self.conversation.turns.get(self.turn + 1));
            all.push(fails(exit, "after the answer", self.answer(), &[0xff; 1000]));
        }
        all
    }

    /// Returns cases with a challenge whose body never ends. `connect` answers on a new connection.
    fn too_much_asking(&self) -> Vec<Case> {
        if self.is_last() {
            return Vec::new();
        }
        let challenge = "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\n";
        let framings = [
            ("", "Who am I? ".repeat(100)),
            ("Content-Length: 99999999999\r\n", "Who am I? ".repeat(100)),
            ("Content-Length: 65536\r\nContent-Length: 0\r\n", "Who am I? ".repeat(100)),
            ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n".repeat(100)),
            ("Transfer-Encoding: chunked\r\nX: y\r\n", "0".repeat(1000)),
        ];
        let each = framings.iter().map(|(framing, unit)| {
            let start = format!("{challenge}{framing}\r\n").into_bytes();
            let acts = [Act::Flood(start, unit.clone().into_bytes())];
            let verdict = Verdict::Session(WELCOME.to_vec());
            self.case(Kind::TooMuch, format!("a challenge with {}", framing.escape_debug()), acts, verdict)
        });
        each.collect()
    }

    fn split(&self, verdict: &Verdict) -> Vec<Case> {
        let piece = |bytes: &[u8]| [Act::Send(bytes.to_vec()), Act::Pause(Duration::from_millis(5))];
        let case = |which, mut acts: Vec<Act>| {
            acts.push(Act::Continue);
            self.case(Kind::Split, which, acts, verdict.clone())
        };
        let at = |at: usize| {
            let (first, second) = self.answer().split_at(at);
            case(format!("at-{at}"), [piece(first), piece(second)].concat())
        };
        let bytewise = self.answer().chunks(1).flat_map(piece).collect();
        // The protocols' unit tests split every answer at every position. This test only checks
        // that the program copes with pieces that arrive separately.
        let length = self.answer().len();
        let splits = BTreeSet::from([1, length / 2, length - 1]);
        let splits = splits.into_iter().filter(|&split| (1..length).contains(&split)).map(at);
        splits.chain([case("bytewise".into(), bytewise)]).collect()
    }

    /// Returns a case in which the remaining answers and the start of the session arrive in one
    /// write.
    fn early(&self) -> Case {
        let early = bytes(7, 100_000);
        if self.turn().closes {
            // The proxy closes this connection, so the extra bytes do not belong to the session.
            let said = [self.answer(), &early].concat();
            let verdict = Verdict::Session(WELCOME.to_vec());
            return self.case(Kind::Early, "and closes", [Act::Send(said), Act::Close], verdict);
        }
        let turns = &self.conversation.turns[self.turn..];
        let mut said: Vec<u8> = turns.iter().flat_map(|turn| turn.answer.clone()).collect();
        said.extend(&early);
        self.case(Kind::Early, "all", [Act::Send(said), Act::Finish], Verdict::Session(early))
    }

    /// Returns cases in which the peer repeats a valid answer, or what may precede the answer.
    fn repeat(&self) -> Vec<Case> {
        let (answer, interim) = (self.answer(), self.turn().interim);
        let mut all = Vec::new();
        if !interim.is_empty() {
            let acts = [Act::Flood(Vec::new(), interim.into())];
            all.push(self.case(Kind::Repeat, "interim", acts, Verdict::Fails(5)));
            let acts = [Act::Send(interim.repeat(20).into()), Act::Send(answer.to_vec()), Act::Continue];
            all.push(self.case(Kind::Repeat, "interim-20", acts, Verdict::Session(WELCOME.to_vec())));
        }
        all.push(match (self.turn().question, self.is_last()) {
            // All repetitions after the first answer belong to the session.
            (_, true) => {
                let acts = [Act::Send(answer.repeat(1000)), Act::Finish];
                self.case(Kind::Repeat, "answer", acts, Verdict::Session(answer.repeat(999)))
            }
            // A second challenge after the password was sent means that the password is wrong.
            (Question::Http, false) if !self.turn().closes => {
                let acts = [Act::Flood(Vec::new(), answer.to_vec())];
                self.case(Kind::Repeat, "answer", acts, Verdict::Fails(6))
            }
            (Question::Http, false) => {
                let acts = [Act::Send(answer.to_vec()), Act::Close];
                let mut case = self.case(Kind::Repeat, "answer", acts, Verdict::Fails(6));
                let mut conversation = (*self.conversation).clone();
                conversation.turns.pop();
                case.conversation = Arc::new(conversation);
                case
            }
            _ => {
                // As a login status, a selected method that is not 0 rejects the password.
                let next = self.conversation.turns[self.turn + 1].question;
                let exit = if next == Question::UserPass { 6 } else { 5 };
                let acts = [Act::Flood(Vec::new(), answer.to_vec())];
                self.case(Kind::Repeat, "answer", acts, Verdict::Fails(exit))
            }
        });
        all
    }

    fn lookalike(&self) -> Vec<Case> {
        if self.turn().question != Question::Http || !self.is_last() {
            return Vec::new();
        }
        let case = |head: String, acts: [Act; 2], verdict| {
            self.case(Kind::Lookalike, head.escape_debug().to_string(), acts, verdict)
        };
        let said = |head: &str| Act::Send([head.as_bytes(), WELCOME].concat());
        let good = good_heads().into_iter().map(|head| {
            let acts = [said(&head), Act::Finish];
            case(head, acts, Verdict::Session(WELCOME.to_vec()))
        });
        let bad = bad_heads().into_iter().map(|head| {
            let acts = [said(&head), Act::Close];
            case(head, acts, Verdict::Fails(5))
        });
        good.chain(bad).collect()
    }
}
