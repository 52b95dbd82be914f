//! Received messages.

use super::channel::{Channel, Source};
use super::{ChannelId, Connection, Event, MAX_CHANNELS};
use crate::ssh::error::Error;
use crate::ssh::message;
use crate::ssh::transport;
use crate::ssh::wire::{Malformed, Reader, Write};
use crate::text::printable;

/// The reason to refuse a channel when there are too many (RFC 4254 §5.1).
const RESOURCE_SHORTAGE: u32 = 4;

/// The most events that wait to be processed. A peer that causes more is stopped.
const MAX_EVENTS: usize = 1024;

impl Connection {
    /// Processes received bytes. Afterwards, look at [`Self::next_event`] and at the channels.
    ///
    /// # Errors
    /// The peer has broken a rule, or has ended the connection.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.transport.receive(bytes);
        self.process().inspect_err(|error| self.fault = Some(error.clone()))
    }

    fn process(&mut self) -> Result<(), Error> {
        while let Some(event) = self.transport.next_event()? {
            if event == transport::Event::Message {
                self.dispatch()?;
            }
        }
        Ok(())
    }

    fn dispatch(&mut self) -> Result<(), Error> {
        let payload = self.transport.message();
        let number = payload[0];
        let mut reader = Reader::new(&payload[1..]);
        let malformed = Error::malformed(number);
        if !(message::GLOBAL_REQUEST..=message::CHANNEL_FAILURE).contains(&number) {
            // An answer to an unknown message must not cause another.
            return if number == message::UNIMPLEMENTED { Ok(()) } else { self.transport.unimplemented() };
        }
        match number {
            message::GLOBAL_REQUEST => {
                let (name, wants_answer, data) = request(reader).map_err(&malformed)?;
                self.add_event(Event::GlobalRequest(name, wants_answer, data))
            }
            message::REQUEST_SUCCESS => {
                let data = reader.rest().to_vec();
                self.add_event(Event::GlobalAnswer(Some(data)))
            }
            message::REQUEST_FAILURE => self.add_event(Event::GlobalAnswer(None)),
            message::CHANNEL_OPEN => {
                let mut fields = || Ok((reader.text()?, reader.u32()?, reader.u32()?, reader.u32()?));
                let (kind, peer, window, max_data) = fields().map_err(&malformed)?;
                let (kind, data) = (kind.to_owned(), reader.rest().to_vec());
                self.asked(kind, peer, window, max_data, data)
            }
            _ => {
                let id = reader.u32().map_err(&malformed)?;
                let rest = reader.rest();
                // The data stays in the transport's buffer, which the channels do not share.
                let channel = self.channels.get_mut(&id);
                let channel = channel.ok_or(Error::Violation("a message for an unknown channel"))?;
                let event = channel_message(channel, ChannelId(id), number, rest)?;
                self.after_channel_message(id, number)?;
                event.map_or(Ok(()), |event| self.add_event(event))
            }
        }
    }

    /// Continues after a message that may have changed the state of a channel.
    fn after_channel_message(&mut self, id: u32, number: u8) -> Result<(), Error> {
        let Some(channel) = self.channels.get_mut(&id) else { return Ok(()) };
        match number {
            message::CHANNEL_OPEN_FAILURE => {
                self.channels.remove(&id);
            }
            // The channel was abandoned while it was opening.
            message::CHANNEL_OPEN_CONFIRMATION if channel.is_abandoned() => {
                let mut close = vec![message::CHANNEL_CLOSE];
                close.put_u32(channel.peer());
                self.transport.send(&[&close])?;
            }
            message::CHANNEL_DATA | message::CHANNEL_EXTENDED_DATA => {
                if let Some(bytes) = channel.window_to_grant() {
                    let mut adjust = vec![message::CHANNEL_WINDOW_ADJUST];
                    adjust.put_u32(channel.peer()).put_u32(bytes);
                    self.transport.send(&[&adjust])?;
                }
            }
            message::CHANNEL_CLOSE if channel.is_over() => {
                self.channels.remove(&id);
            }
            _ => {}
        }
        Ok(())
    }

    fn asked(
        &mut self,
        kind: String,
        peer: u32,
        window: u32,
        max_data: u32,
        data: Vec<u8>,
    ) -> Result<(), Error> {
        if max_data == 0 {
            return Err(Error::Violation("a channel whose messages hold no data"));
        }
        if self.channels.len() >= MAX_CHANNELS {
            let mut answer = vec![message::CHANNEL_OPEN_FAILURE];
            answer.put_u32(peer).put_u32(RESOURCE_SHORTAGE).put_string("too many channels").put_string("");
            return self.transport.send(&[&answer]);
        }
        let (id, _) = self.add(Channel::asked(self.window(), peer, window, max_data));
        self.add_event(Event::Asked(id, kind, data))
    }

    fn add_event(&mut self, event: Event) -> Result<(), Error> {
        if self.events.len() >= MAX_EVENTS {
            return Err(Error::Violation("too many requests at once"));
        }
        self.events.push_back(event);
        Ok(())
    }
}

/// Reads the rest of a request: its name, whether the peer wants an answer, and its data.
fn request(mut reader: Reader<'_>) -> Result<(String, bool, Vec<u8>), Malformed> {
    let (name, wants_answer) = (reader.text()?, reader.bool()?);
    Ok((name.to_owned(), wants_answer, reader.rest().to_vec()))
}

/// Processes a message about a channel, except for a request to open one.
fn channel_message(
    channel: &mut Channel,
    id: ChannelId,
    number: u8,
    rest: &[u8],
) -> Result<Option<Event>, Error> {
    let malformed = Error::malformed(number);
    let mut reader = Reader::new(rest);
    let expects_answer = matches!(number, message::CHANNEL_OPEN_CONFIRMATION | message::CHANNEL_OPEN_FAILURE);
    if expects_answer != channel.is_opening() {
        return Err(Error::Unexpected(number));
    }
    let event = match number {
        message::CHANNEL_OPEN_CONFIRMATION => {
            let mut fields = || Ok((reader.u32()?, reader.u32()?, reader.u32()?));
            let (peer, window, max_data) = fields().map_err(&malformed)?;
            if max_data == 0 {
                return Err(Error::Violation("a channel whose messages hold no data"));
            }
            channel.confirm(peer, window, max_data);
            Some(Event::Opened(id)).filter(|_| !channel.is_abandoned())
        }
        message::CHANNEL_OPEN_FAILURE => {
            let mut fields = || Ok((reader.u32()?, reader.string()?));
            let (reason, text) = fields().map_err(&malformed)?;
            Some(Event::Refused(id, reason, printable(text))).filter(|_| !channel.is_abandoned())
        }
        message::CHANNEL_WINDOW_ADJUST => {
            channel.adjust(reader.u32().map_err(&malformed)?)?;
            None
        }
        message::CHANNEL_DATA => {
            channel.receive(Some(Source::Data), reader.string().map_err(&malformed)?)?;
            None
        }
        message::CHANNEL_EXTENDED_DATA => {
            let kind = reader.u32().map_err(&malformed)?;
            let data = reader.string().map_err(&malformed)?;
            channel.receive(Some(Source::Stderr).filter(|_| kind == 1), data)?;
            None
        }
        message::CHANNEL_EOF => {
            channel.receive_end();
            None
        }
        message::CHANNEL_CLOSE => {
            channel.receive_close();
            None
        }
        message::CHANNEL_REQUEST => {
            let (name, wants_answer, data) = request(reader).map_err(&malformed)?;
            Some(Event::Request(id, name, wants_answer, data))
        }
        message::CHANNEL_SUCCESS => Some(Event::Answer(id, true)),
        message::CHANNEL_FAILURE => Some(Event::Answer(id, false)),
        _ => return Err(Error::Unexpected(number)),
    };
    Ok(event)
}
