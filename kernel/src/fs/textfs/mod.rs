//! Files that are made of text when somebody looks: what `/proc`, tracefs and debugfs consist of.
//!
//! Such a file is a small object: it is read whole or as a stream, it is written a value or a line at a
//! time, and it answers with an errno. Nobody above the file system writes a `read(2)`; they say what the
//! text is, and [`Text`] makes a file of it:
//!
//! ```text
//!   .show(|out| …)       the whole text, made at the first read of an open
//!   .bytes(|out| …)      the same, where the text may hold bytes that are no UTF-8
//!   .seq(|how| …)        piece by piece: a listing that may be long; made as far as it is read. Begun at the open,
//!                        which it may refuse, and dropped at the close
//!   .stream(|how| …)     the same, waiting for more: nothing is ever seen twice, no positions
//!   .store(|value| …)    a write is one value, its newline taken off
//!   .commands(|line| …)  a write is lines, each a command (lines.rs)
//!   .write(|bytes| …)    a write is bytes
//!   .session(|how| …)    writes go to an object of this open; dropped at close, it may act on all of them
//!   .flag(get, set)      "0\n" or "1\n"
//!   .on_open(|how| …)    refuse, or empty the file when `how.truncate`
//! ```
//!
//! The text of a `show` is a snapshot: one open sees one state, however slowly it reads, and a seek back to
//! the start looks again, as on Linux. A file without a way to be read or written answers EINVAL, or what
//! [`Text::refuse_write`] says (files of `/proc`: EIO).
//!
//! Directories are [`Dir`]: a table of names that may change at any time. A directory with many entries that
//! are known to somebody else implements [`Node`] itself, and makes its files when asked.

pub(crate) mod dir;
pub(crate) mod lines;
pub(crate) mod value;

pub(crate) use dir::Dir;

use super::vfs::{AT_END, File, How, Kind, Node, Stat};
use crate::task::Mutex;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use tracecore::errno::Errno;

/// A text on its way to a reader. It is bytes: what users write into a trace need not be UTF-8.
#[derive(Default)]
pub(crate) struct Out(Vec<u8>);

impl Out {
    /// What there is, to be appended to.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl fmt::Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Appends the next piece of a text; `false` when there is none.
pub(crate) type Pieces = Box<dyn FnMut(&mut Out) -> Result<bool, Errno> + Send>;

type Show = Box<dyn Fn(&mut Out) -> Result<(), Errno> + Send + Sync>;
type Seq = Box<dyn Fn(How) -> Result<Pieces, Errno> + Send + Sync>;
type Write = Box<dyn Fn(&[u8]) -> Result<usize, Errno> + Send + Sync>;
type Begin = Box<dyn Fn(How) -> Result<Box<dyn Session>, Errno> + Send + Sync>;
type OnOpen = Box<dyn Fn(How) -> Result<(), Errno> + Send + Sync>;

/// What is written to a file during one open. Dropped when the file is closed.
pub(crate) trait Session: Send {
    /// Takes some of the bytes, at least one; says how many.
    fn write(&mut self, data: &[u8]) -> Result<usize, Errno>;
}

enum Source {
    None,
    Show(Show),
    Seq(Seq),
    Stream(Seq),
}

/// What a text file does; built once, then a [`Node`].
pub(crate) struct Text {
    mode: u16,
    source: Source,
    write: Option<Write>,
    begin: Option<Begin>,
    on_open: Option<OnOpen>,
    refusal: Errno,
}

impl Text {
    /// A file with these permission bits that can neither be read nor written yet.
    pub(crate) fn new(mode: u16) -> Self {
        Self { mode, source: Source::None, write: None, begin: None, on_open: None, refusal: Errno::EINVAL }
    }

    /// A file that is only shown.
    pub(crate) fn shown(
        mode: u16,
        show: impl Fn(&mut dyn fmt::Write) -> Result<(), Errno> + Send + Sync + 'static,
    ) -> Self {
        Self::new(mode).show(show)
    }

    /// Reads give what `show` writes.
    pub(crate) fn show(
        mut self,
        show: impl Fn(&mut dyn fmt::Write) -> Result<(), Errno> + Send + Sync + 'static,
    ) -> Self {
        self.source = Source::Show(Box::new(move |out| show(out)));
        self
    }

    /// As `show`, for text that may hold any bytes.
    pub(crate) fn bytes(
        mut self,
        show: impl Fn(&mut Vec<u8>) -> Result<(), Errno> + Send + Sync + 'static,
    ) -> Self {
        self.source = Source::Show(Box::new(move |out| show(out.bytes())));
        self
    }

    /// Reads give piece after piece of what each open starts anew.
    pub(crate) fn seq(
        mut self,
        start: impl Fn(How) -> Result<Pieces, Errno> + Send + Sync + 'static,
    ) -> Self {
        self.source = Source::Seq(Box::new(start));
        self
    }

    /// Like `seq`, for a source that waits and gives everything once.
    pub(crate) fn stream(
        mut self,
        start: impl Fn(How) -> Result<Pieces, Errno> + Send + Sync + 'static,
    ) -> Self {
        self.source = Source::Stream(Box::new(start));
        self
    }

    /// Writes go to `write`, which says how many bytes it took.
    pub(crate) fn write(
        mut self,
        write: impl Fn(&[u8]) -> Result<usize, Errno> + Send + Sync + 'static,
    ) -> Self {
        self.write = Some(Box::new(write));
        self
    }

    /// Each open for writing begins a session, to which its writes go.
    pub(crate) fn session(
        mut self,
        begin: impl Fn(How) -> Result<Box<dyn Session>, Errno> + Send + Sync + 'static,
    ) -> Self {
        self.begin = Some(Box::new(begin));
        self
    }

    /// Each write is a value, given without the white space around it.
    pub(crate) fn store(self, store: impl Fn(&str) -> Result<(), Errno> + Send + Sync + 'static) -> Self {
        self.write(move |data| {
            store(value::word(data)?)?;
            Ok(data.len())
        })
    }

    /// Each write is lines, and each line a command.
    pub(crate) fn commands(self, run: impl Fn(&str) -> Result<(), Errno> + Send + Sync + 'static) -> Self {
        self.write(move |data| lines::run(data, &mut |line| run(line)))
    }

    /// A switch: shown as `0` or `1`, set by a number as `value::flag` reads it.
    pub(crate) fn flag(
        self,
        get: impl Fn() -> bool + Send + Sync + 'static,
        set: impl Fn(bool) -> Result<(), Errno> + Send + Sync + 'static,
    ) -> Self {
        self.show(move |out| writeln!(out, "{}", u8::from(get())).map_err(|_| Errno::ENOMEM)).write(
            move |data| {
                set(value::flag(data)?)?;
                Ok(data.len())
            },
        )
    }

    /// Called at every open, before anything else.
    pub(crate) fn on_open(mut self, hook: impl Fn(How) -> Result<(), Errno> + Send + Sync + 'static) -> Self {
        self.on_open = Some(Box::new(hook));
        self
    }

    /// What a write gets when the file takes none.
    pub(crate) fn refuse_write(mut self, errno: Errno) -> Self {
        self.refusal = errno;
        self
    }

    /// The file as a place in the tree.
    pub(crate) fn node(self) -> Arc<dyn Node> {
        Arc::new(TextNode(Arc::new(self)))
    }

    fn start(&self, how: How) -> Result<Pieces, Errno> {
        match &self.source {
            Source::None => Err(Errno::EINVAL),
            Source::Seq(start) | Source::Stream(start) => start(how),
            Source::Show(show) => {
                let mut text = Out::default();
                show(&mut text)?;
                let mut text = Some(text);
                Ok(Box::new(move |out| match text.take() {
                    Some(whole) => {
                        if out.0.is_empty() {
                            *out = whole;
                        } else {
                            out.0.extend_from_slice(&whole.0);
                        }
                        Ok(true)
                    }
                    None => Ok(false),
                }))
            }
        }
    }
}

struct TextNode(Arc<Text>);

impl Node for TextNode {
    fn stat(&self) -> Stat {
        Stat::new(Kind::File, self.0.mode)
    }

    fn open(&self, how: How) -> Result<Arc<dyn File>, Errno> {
        if let Some(hook) = &self.0.on_open {
            hook(how)?;
        }
        let session = match &self.0.begin {
            Some(begin) if how.write => Some(Mutex::new(begin(how)?)),
            _ => None,
        };
        let mut reading = Reading::default();
        if matches!(self.0.source, Source::Seq(_) | Source::Stream(_)) && how.read {
            reading.pieces = Some(self.0.start(how)?);
        }
        let reading = Mutex::new(reading);
        Ok(Arc::new(OpenText { text: self.0.clone(), how, reading, session }))
    }
}

struct OpenText {
    text: Arc<Text>,
    how: How,
    /// Held while a stream waits, too: who shares this open file waits behind it.
    reading: Mutex<Reading>,
    session: Option<Mutex<Box<dyn Session>>>,
}

/// How far an open file has been read. Of the text made so far only the end is still here:
///
/// ```text
///   file  0 ········· start ················ │ not made yet
///         given away  │text[used..]          │
/// ```
#[derive(Default)]
struct Reading {
    pieces: Option<Pieces>,
    text: Out,
    used: usize,
    start: u64,
}

impl Reading {
    fn there(&self) -> &[u8] {
        self.text.0.get(self.used..).unwrap_or_default()
    }

    fn skip(&mut self, n: usize) {
        self.used += n;
        self.start += n as u64;
        if self.used >= self.text.0.len() {
            self.text.0.clear();
            self.used = 0;
        }
    }
}

impl Reading {
    /// Lets go of what was given away, so that a long file takes no more memory than a piece of it.
    fn forget(&mut self) {
        self.text.0.drain(..self.used);
        self.used = 0;
    }
}

impl OpenText {
    fn is_stream(&self) -> bool {
        matches!(self.text.source, Source::Stream(_))
    }
}

impl File for OpenText {
    fn read(&self, pos: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        if buf.is_empty() {
            return Ok(0);
        }
        let stream = self.is_stream();
        let mut reading = self.reading.lock();
        let Reading { pieces, start, .. } = &mut *reading;
        if pieces.is_none() || (!stream && pos < *start) {
            *reading = Reading { pieces: Some(self.text.start(self.how)?), ..Reading::default() };
        }
        loop {
            if !stream && reading.start < pos {
                let before = usize::try_from(pos - reading.start).unwrap_or(usize::MAX);
                let n = before.min(reading.there().len());
                reading.skip(n);
            }
            let there = reading.there().len();
            if there >= buf.len() || (stream && there > 0) {
                break;
            }
            reading.forget();
            let Reading { pieces: Some(more), text, .. } = &mut *reading else { break };
            match more(text) {
                Ok(true) => {}
                Ok(false) => break,
                Err(e) if there == 0 => return Err(e),
                // First what is there; the error comes again.
                Err(_) => break,
            }
        }
        let n = buf.len().min(reading.there().len());
        buf[..n].copy_from_slice(&reading.there()[..n]);
        reading.skip(n);
        Ok(n)
    }

    fn write(&self, pos: u64, data: &[u8]) -> Result<(usize, u64), Errno> {
        let n = match (&self.session, &self.text.write) {
            (Some(session), _) => session.lock().write(data)?,
            (None, Some(write)) => write(data)?,
            (None, None) => return Err(self.text.refusal),
        };
        Ok((n, if pos == AT_END { 0 } else { pos.saturating_add(n as u64) }))
    }

    fn seekable(&self) -> bool {
        !self.is_stream()
    }
}
