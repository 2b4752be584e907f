//! Reads the host's events: Server-Sent Events, resumed where they broke off.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use super::client::{Client, block_on};
use super::failure::Failure;
use super::{EXIT_CODES, HostArgs};

/// With `--follow`: how long after the stream ended the host is asked again.
const RECONNECT: Duration = Duration::from_secs(1);

/// With `--follow`: so often without an answer, and the host is gone. A restart takes seconds.
const RECONNECTS_MAX: u32 = 60;

/// The longest event that is read, in bytes: the host's own are a few hundred.
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Arguments of `usher events`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct EventsArgs {
    /// Show what comes from now on, until Ctrl-C; resumes when the host restarts.
    #[arg(long)]
    follow: bool,
    /// Only events after the one with this id.
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Print each event's JSON as it is, one line an event.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    host: HostArgs,
}

/// Shows events.
pub(super) fn events(args: EventsArgs, out: &mut dyn Write) -> Result<(), Failure> {
    block_on(async {
        let client = Client::new(&args.host)?;
        let mut reader = Reader {
            last: args.after.clone(),
            is_json: args.json,
            out,
        };
        if args.follow {
            return follow(&client, &mut reader).await;
        }
        let stream = client.events(reader.last.as_deref(), false).await?;
        reader.read(stream).await
    })
}

async fn follow(client: &Client, reader: &mut Reader<'_>) -> Result<(), Failure> {
    // The first time a host that is not there is an error at once; afterwards it may be restarting.
    let mut stream = client.events(reader.last.as_deref(), true).await?;
    loop {
        reader.read(stream).await?;
        stream = reconnect(client, reader.last.as_deref()).await?;
    }
}

async fn reconnect(client: &Client, last: Option<&str>) -> Result<Incoming, Failure> {
    let mut tries = 0;
    loop {
        tokio::time::sleep(RECONNECT).await;
        tries += 1;
        match client.events(last, true).await {
            Err(Failure::Unreachable { .. }) if tries < RECONNECTS_MAX => {}
            other => return other,
        }
    }
}

/// Writes events as they come, and remembers the last one's id.
struct Reader<'o> {
    last: Option<String>,
    is_json: bool,
    out: &'o mut dyn Write,
}

impl Reader<'_> {
    /// Reads until the stream ends.
    async fn read(&mut self, mut stream: Incoming) -> Result<(), Failure> {
        let mut decoder = Decoder::default();
        loop {
            let frame = stream.frame().await;
            // A stream that breaks off ends like one that was closed: what is after it is asked for anew.
            let Some(Ok(frame)) = frame else { return Ok(()) };
            let Ok(bytes) = frame.into_data() else { continue };
            if !decoder.take(&bytes) {
                return Ok(());
            }
            while let Some(event) = decoder.next() {
                self.write(&event)?;
            }
        }
    }

    fn write(&mut self, event: &Event) -> Result<(), Failure> {
        if let Some(id) = &event.id {
            self.last = Some(id.clone());
        }
        match self.is_json {
            true => writeln!(self.out, "{}", event.data)?,
            false => writeln!(self.out, "{}", line(event))?,
        }
        Ok(self.out.flush()?)
    }
}

/// Returns an event as one line: when, what, and the rest as `key=value`.
fn line(event: &Event) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(&event.data) else {
        return format!("{} {}", event.name, event.data);
    };
    let at = fields.get("at").and_then(Value::as_str).unwrap_or("-");
    let mut line = format!("{at}  {:<22}", event.name);
    append(&mut line, "", &fields);
    line.trim_end().to_owned()
}

fn append(line: &mut String, prefix: &str, fields: &serde_json::Map<String, Value>) {
    for (key, value) in fields {
        let is_said = prefix.is_empty() && matches!(key.as_str(), "at" | "event" | "id" | "type");
        match value {
            _ if is_said => {}
            Value::Null => {}
            Value::String(text) if text.is_empty() => {}
            Value::String(text) if text.contains(char::is_whitespace) => {
                line.push_str(&format!(" {prefix}{key}={text:?}"))
            }
            Value::String(text) => line.push_str(&format!(" {prefix}{key}={text}")),
            Value::Object(within) => append(line, &format!("{prefix}{key}."), within),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) => line.push_str(&format!(" {prefix}{key}={value}")),
        }
    }
}

/// One event of the stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    id: Option<String>,
    name: String,
    data: String,
}

/// Cuts the stream into events, wherever its packets end.
#[derive(Debug, Default)]
struct Decoder {
    bytes: Vec<u8>,
}

impl Decoder {
    /// Takes what came; false if an event is longer than [`EVENT_BYTES_MAX`].
    fn take(&mut self, bytes: &Bytes) -> bool {
        self.bytes.extend_from_slice(bytes);
        self.bytes.len() <= EVENT_BYTES_MAX
    }

    /// Returns the next whole event; comments, which keep the connection alive, are none.
    fn next(&mut self) -> Option<Event> {
        loop {
            let end = self.bytes.windows(2).position(|pair| pair == b"\n\n")?;
            let block: Vec<u8> = self.bytes.drain(..end + 2).collect();
            let event = event(&String::from_utf8_lossy(&block));
            if event.is_some() {
                return event;
            }
        }
    }
}

fn event(block: &str) -> Option<Event> {
    let mut event = Event {
        name: "message".to_owned(),
        ..Event::default()
    };
    let mut has_data = false;
    for line in block.lines() {
        let Some((field, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => event.id = Some(value.to_owned()),
            "event" => event.name = value.to_owned(),
            "data" => {
                if has_data {
                    event.data.push('\n');
                }
                event.data.push_str(value);
                has_data = true;
            }
            _ => {}
        }
    }
    has_data.then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_wherever_the_packets_end() {
        let stream = "id: 7-0\nevent: room.placed\n\
                      data: {\"at\":\"T\",\"room\":\"a b\",\"server\":{\"name\":\"s\"}}\n\n: alive\n\n\
                      event: reset\ndata: {}\n\n";
        for cut in 0..stream.len() {
            let (head, tail) = stream.as_bytes().split_at(cut);
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            for part in [head, tail] {
                assert!(decoder.take(&Bytes::copy_from_slice(part)));
                found.extend(std::iter::from_fn(|| decoder.next()));
            }
            assert_eq!(found.len(), 2, "cut at {cut}");
            assert_eq!(found[0].id.as_deref(), Some("7-0"));
            assert_eq!(line(&found[0]), "T  room.placed            room=\"a b\" server.name=s");
            assert_eq!(line(&found[1]), "-  reset");
        }
    }

    #[test]
    fn an_endless_event_is_cut() {
        let mut decoder = Decoder::default();
        assert!(!decoder.take(&Bytes::from(vec![b'x'; EVENT_BYTES_MAX + 1])));
    }
}
