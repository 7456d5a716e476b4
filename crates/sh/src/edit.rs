//! The line editor of the console: bytes in, bytes out, and now and then a line.
//!
//! It knows nothing of a console. Every byte that a key sends goes through [`Editor::feed`], which adds to
//! `out` what the terminal has to be sent. A key may take several bytes; three states suffice:
//!
//! ```text
//!            ESC                 [ or O
//!   Plain ─────────▶ Escape ─────────────▶ Sequence ── digits, ; ──┐
//!     ▲  ▲             │ b f d DEL            │  ▲                 │
//!     │  └─────────────┘ (words)              │  └─────────────────┘
//!     └───────────────────────────────────────┘ A B C D H F ~  (arrows, Home, End, Delete)
//! ```
//!
//! | key | does | key | does |
//! |---|---|---|---|
//! | ← →, ^B ^F | one character | ↑ ↓, ^P ^N | through the history |
//! | Home End, ^A ^E | to an end of the line | Tab | completes |
//! | ESC b, ESC f, Ctrl-← → | one word | ^L | clears the screen |
//! | Backspace, ^H, Delete | removes a character | ^C | gives the line up |
//! | ^W, ESC DEL, ESC d | removes a word | ^D | at an empty line: the end; else Delete |
//! | ^U ^K | removes to the start, to the end | ^Y | brings back what was removed |
//!
//! The terminal may be a dumb serial line of unknown width: only `\r`, backspace, `ESC [ K` and `ESC [ n C`
//! are sent, and a line longer than the terminal is wide is shown in part, around the cursor.

use alloc::{
    borrow::ToOwned,
    collections::VecDeque,
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::limits::{MAX_EDIT_LINE, MAX_HISTORY};
use crate::programs::files::columns;

/// What can stand in the place of a word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completions {
    /// Where the word starts, in characters of the line.
    pub start: usize,
    /// What the word could become. One that ends in `/` is not followed by a blank.
    pub candidates: Vec<String>,
}

/// Knows what could be meant by the beginning of a word.
pub trait Completer {
    /// The possibilities for the word that ends at the end of `line`, which goes up to the cursor.
    fn complete(&self, line: &str) -> Completions;
}

/// What came out of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A line, without its end.
    Line(String),
    /// Ctrl-C: the line was given up.
    Interrupt,
    /// Ctrl-D at an empty line.
    End,
}

/// Where in a key's bytes we are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Plain,
    Escape,
    Sequence(Vec<u8>),
    /// In a character of several bytes: how many are missing, and those that came.
    Utf8(usize, Vec<u8>),
}

const BELL: &[u8] = b"\x07";
/// Sequences longer than this are no keys.
const MAX_SEQUENCE: usize = 16;
/// More possibilities than this are counted, not shown.
const MAX_SHOWN: usize = 120;
/// The narrowest view of a line that is worth scrolling.
const MIN_VIEW: usize = 8;

/// The editor.
pub struct Editor {
    width: usize,
    prompt: String,
    line: Vec<char>,
    cursor: usize,
    /// The first character that is shown.
    left: usize,
    state: State,
    after_return: bool,
    removed: Vec<char>,
    history: VecDeque<String>,
    /// The line of the history that is shown, and the line that was being typed before.
    looking: Option<(usize, Vec<char>)>,
}

impl Editor {
    /// An editor for a terminal of that many columns.
    #[must_use]
    pub fn new(width: usize) -> Self {
        Self {
            width,
            prompt: String::new(),
            line: Vec::new(),
            cursor: 0,
            left: 0,
            state: State::Plain,
            after_return: false,
            removed: Vec::new(),
            history: VecDeque::new(),
            looking: None,
        }
    }

    /// Starts a line.
    pub fn start(&mut self, prompt: &str, out: &mut Vec<u8>) {
        prompt.clone_into(&mut self.prompt);
        self.line.clear();
        self.cursor = 0;
        self.left = 0;
        self.looking = None;
        self.state = State::Plain;
        self.draw(out);
    }

    /// The lines that were entered, the oldest first.
    pub fn history(&self) -> impl Iterator<Item = &str> {
        self.history.iter().map(String::as_str)
    }

    /// Takes one byte.
    pub fn feed(&mut self, byte: u8, completer: &dyn Completer, out: &mut Vec<u8>) -> Option<Event> {
        let after_return = core::mem::take(&mut self.after_return);
        match core::mem::replace(&mut self.state, State::Plain) {
            State::Plain => match byte {
                // The second half of a line end of two bytes.
                b'\n' if after_return => {}
                b'\r' | b'\n' => {
                    self.after_return = byte == b'\r';
                    return Some(self.enter(out));
                }
                0x1b => self.state = State::Escape,
                0..=0x1f | 0x7f => return self.control(byte, completer, out),
                0x20..=0x7e => self.insert(char::from(byte), out),
                0xc2..=0xdf => self.state = State::Utf8(1, alloc::vec![byte]),
                0xe0..=0xef => self.state = State::Utf8(2, alloc::vec![byte]),
                0xf0..=0xf4 => self.state = State::Utf8(3, alloc::vec![byte]),
                _ => out.extend_from_slice(BELL),
            },
            State::Escape => match byte {
                b'[' | b'O' => self.state = State::Sequence(Vec::new()),
                b'b' => self.go(self.word_left(), out),
                b'f' => self.go(self.word_right(), out),
                b'd' => self.remove(self.cursor, self.word_right(), out),
                0x7f | 0x08 => self.remove(self.word_left(), self.cursor, out),
                _ => {}
            },
            State::Sequence(mut bytes) => {
                if (0x40..=0x7e).contains(&byte) {
                    self.key(&bytes, byte, out);
                } else if bytes.len() < MAX_SEQUENCE {
                    bytes.push(byte);
                    self.state = State::Sequence(bytes);
                }
            }
            State::Utf8(missing, mut bytes) => {
                bytes.push(byte);
                if missing > 1 {
                    self.state = State::Utf8(missing - 1, bytes);
                } else if let Ok(text) = core::str::from_utf8(&bytes) {
                    text.chars().for_each(|c| self.insert(c, out));
                } else {
                    out.extend_from_slice(BELL);
                }
            }
        }
        None
    }

    fn enter(&mut self, out: &mut Vec<u8>) -> Event {
        out.extend_from_slice(b"\r\n");
        let line: String = self.line.iter().collect();
        if !line.trim().is_empty() && self.history.back() != Some(&line) {
            if self.history.len() >= MAX_HISTORY {
                self.history.pop_front();
            }
            self.history.push_back(line.clone());
        }
        self.line.clear();
        self.cursor = 0;
        Event::Line(line)
    }

    /// Keys that are one control character.
    fn control(&mut self, byte: u8, completer: &dyn Completer, out: &mut Vec<u8>) -> Option<Event> {
        let end = self.line.len();
        // The control characters by their letters: ^A is 1.
        match byte | 0x40 {
            b'A' => self.go(0, out),
            b'B' => self.go(self.cursor.saturating_sub(1), out),
            b'C' => {
                out.extend_from_slice(b"^C\r\n");
                self.line.clear();
                self.cursor = 0;
                return Some(Event::Interrupt);
            }
            b'D' if self.line.is_empty() => {
                out.extend_from_slice(b"\r\n");
                return Some(Event::End);
            }
            b'D' => self.remove(self.cursor, self.cursor + 1, out),
            b'E' => self.go(end, out),
            b'F' => self.go(self.cursor + 1, out),
            b'I' => self.complete(completer, out),
            b'K' => self.cut(self.cursor, end, out),
            b'L' => {
                out.extend_from_slice(b"\x1b[H\x1b[2J");
                self.draw(out);
            }
            b'N' => self.look(false, out),
            b'P' => self.look(true, out),
            b'U' => self.cut(0, self.cursor, out),
            b'W' => self.cut(self.blank_left(), self.cursor, out),
            b'Y' => {
                for c in self.removed.clone() {
                    self.insert(c, out);
                }
            }
            b'H' | 0x7f => self.remove(self.cursor.saturating_sub(1), self.cursor, out),
            _ => out.extend_from_slice(BELL),
        }
        None
    }

    /// Keys that are a sequence.
    fn key(&mut self, bytes: &[u8], last: u8, out: &mut Vec<u8>) {
        let with_ctrl = bytes.ends_with(b";5");
        match (last, bytes) {
            (b'A', _) => self.look(true, out),
            (b'B', _) => self.look(false, out),
            (b'C', _) if with_ctrl => self.go(self.word_right(), out),
            (b'D', _) if with_ctrl => self.go(self.word_left(), out),
            (b'C', _) => self.go(self.cursor + 1, out),
            (b'D', _) => self.go(self.cursor.saturating_sub(1), out),
            (b'H', _) | (b'~', b"1" | b"7") => self.go(0, out),
            (b'F', _) | (b'~', b"4" | b"8") => self.go(self.line.len(), out),
            (b'~', b"3") => self.remove(self.cursor, self.cursor + 1, out),
            _ => {}
        }
    }

    // --- the line ----------------------------------------------------------------------------------

    fn insert(&mut self, c: char, out: &mut Vec<u8>) {
        let len: usize = self.line.iter().map(|c| c.len_utf8()).sum();
        if len + c.len_utf8() > MAX_EDIT_LINE {
            out.extend_from_slice(BELL);
            return;
        }
        let at_end = self.cursor >= self.line.len();
        self.line.insert(self.cursor.min(self.line.len()), c);
        self.cursor += 1;
        if at_end && self.cursor - self.left < self.view() {
            // The usual case: it just appears.
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            self.draw(out);
        }
    }

    fn go(&mut self, to: usize, out: &mut Vec<u8>) {
        let to = to.min(self.line.len());
        if to == self.cursor {
            return;
        }
        self.cursor = to;
        self.draw(out);
    }

    /// Removes characters.
    fn remove(&mut self, from: usize, to: usize, out: &mut Vec<u8>) {
        let to = to.min(self.line.len());
        if from >= to {
            out.extend_from_slice(BELL);
            return;
        }
        self.line.drain(from..to);
        self.cursor = from;
        self.draw(out);
    }

    /// Removes characters and keeps them for ^Y.
    fn cut(&mut self, from: usize, to: usize, out: &mut Vec<u8>) {
        if let Some(text) = self.line.get(from..to).filter(|text| !text.is_empty()) {
            self.removed = text.to_vec();
        }
        self.remove(from, to, out);
    }

    /// The start of the word before the cursor; a word has letters and digits.
    fn word_left(&self) -> usize {
        let in_word = |at: usize| self.line.get(at).is_some_and(|c| c.is_alphanumeric());
        let mut at = self.cursor;
        while at > 0 && !in_word(at - 1) {
            at -= 1;
        }
        while at > 0 && in_word(at - 1) {
            at -= 1;
        }
        at
    }

    fn word_right(&self) -> usize {
        let in_word = |at: usize| self.line.get(at).is_some_and(|c| c.is_alphanumeric());
        let mut at = self.cursor;
        while at < self.line.len() && !in_word(at) {
            at += 1;
        }
        while in_word(at) {
            at += 1;
        }
        at
    }

    /// The start of the run of non-blanks before the cursor.
    fn blank_left(&self) -> usize {
        let blank = |at: usize| self.line.get(at).is_some_and(|c| c.is_whitespace());
        let mut at = self.cursor;
        while at > 0 && blank(at - 1) {
            at -= 1;
        }
        while at > 0 && !blank(at - 1) {
            at -= 1;
        }
        at
    }

    // --- history -----------------------------------------------------------------------------------

    fn look(&mut self, back: bool, out: &mut Vec<u8>) {
        let at = self.looking.as_ref().map_or(self.history.len(), |(at, _)| *at);
        let to = if back { at.checked_sub(1) } else { Some(at + 1).filter(|to| *to <= self.history.len()) };
        let Some(to) = to else {
            out.extend_from_slice(BELL);
            return;
        };
        match self.history.get(to) {
            Some(line) => {
                let line = line.chars().collect();
                let typed = core::mem::replace(&mut self.line, line);
                let before = self.looking.take().map_or(typed, |(_, before)| before);
                self.looking = Some((to, before));
            }
            // Past the newest: what was being typed.
            None => self.line = self.looking.take().map(|(_, before)| before).unwrap_or_default(),
        }
        self.cursor = self.line.len();
        self.draw(out);
    }

    // --- completion --------------------------------------------------------------------------------

    fn complete(&mut self, completer: &dyn Completer, out: &mut Vec<u8>) {
        let before: String = self.line.iter().take(self.cursor).collect();
        let Completions { start, mut candidates } = completer.complete(&before);
        candidates.sort_unstable();
        candidates.dedup();
        let start = start.min(self.cursor);
        let Some(first) = candidates.first() else {
            out.extend_from_slice(BELL);
            return;
        };
        let common = candidates.iter().fold(first.as_str(), |common, other| common_prefix(common, other));
        let single = candidates.len() == 1 && !first.ends_with('/');
        let text: Vec<char> = common.chars().chain(single.then_some(' ')).collect();
        let typed = self.line.get(start..self.cursor).unwrap_or_default();
        if text != typed && text.len() >= typed.len() {
            self.line.splice(start..self.cursor, text.iter().copied());
            self.cursor = start + text.len();
            self.draw(out);
            return;
        }
        if candidates.len() == 1 {
            return;
        }
        out.extend_from_slice(b"\r\n");
        if candidates.len() > MAX_SHOWN {
            out.extend_from_slice(format!("{} possibilities\r\n", candidates.len()).as_bytes());
        } else {
            // What they have in common up to the last slash is not shown again and again.
            let dir = common.rfind('/').map_or(0, |at| at + 1);
            let names: Vec<String> =
                candidates.iter().map(|name| name.get(dir..).unwrap_or(name).to_string()).collect();
            out.extend_from_slice(columns(&names, self.width).replace('\n', "\r\n").as_bytes());
        }
        self.draw(out);
    }

    // --- the terminal ------------------------------------------------------------------------------

    /// How many characters of the line can be shown. The last column stays free: what a terminal does after
    /// it has been written to differs.
    fn view(&self) -> usize {
        self.width.saturating_sub(self.prompt.chars().count() + 1).max(MIN_VIEW)
    }

    /// Draws the line anew.
    fn draw(&mut self, out: &mut Vec<u8>) {
        let view = self.view();
        if self.cursor < self.left {
            self.left = self.cursor;
        } else if self.cursor - self.left >= view {
            self.left = self.cursor + 1 - view;
        }
        let shown: String = self.line.iter().skip(self.left).take(view).collect();
        out.extend_from_slice(format!("\r{}{shown}\x1b[K", self.prompt).as_bytes());
        let behind = shown.chars().count() - (self.cursor - self.left).min(shown.chars().count());
        if behind > 0 {
            let column = self.prompt.chars().count() + self.cursor - self.left;
            out.extend_from_slice(b"\r");
            if column > 0 {
                out.extend_from_slice(format!("\x1b[{column}C").as_bytes());
            }
        }
    }
}

fn common_prefix<'a>(a: &'a str, b: &str) -> &'a str {
    let len: usize = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(c, _)| c.len_utf8()).sum();
    a.get(..len).unwrap_or_default()
}
