//! The line editor: keys in, and what a terminal shows.

mod fake;

use std::sync::{Arc, Mutex};

use fake::{Bench, Fake};
use sh::edit::{Completer, Completions, Editor, Event};
use sh::{Errno, Io, interact};

/// A terminal of one size that knows what the editor may send, and nothing else.
struct Screen {
    rows: Vec<Vec<char>>,
    column: usize,
    width: usize,
    bells: usize,
}

impl Screen {
    fn new(width: usize) -> Self {
        Self { rows: vec![Vec::new()], column: 0, width, bells: 0 }
    }

    fn show(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).expect("the editor sends text");
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\r' => self.column = 0,
                '\n' => self.rows.push(Vec::new()),
                '\x07' => self.bells += 1,
                '\x1b' => {
                    assert_eq!(chars.next(), Some('['), "only control sequences");
                    let rest: String = chars.clone().take_while(char::is_ascii_digit).collect();
                    let letter = chars.nth(rest.len()).expect("a whole sequence");
                    let n: usize = rest.parse().unwrap_or(0);
                    match letter {
                        'K' => self.rows.last_mut().unwrap().truncate(self.column),
                        'C' => self.column += n.max(1),
                        'H' => self.column = 0,
                        'J' => self.rows = vec![Vec::new()],
                        other => panic!("unknown sequence {other}"),
                    }
                }
                c => {
                    assert!(!c.is_control(), "unknown control character {c:?}");
                    let row = self.rows.last_mut().unwrap();
                    if row.len() <= self.column {
                        row.resize(self.column + 1, ' ');
                    }
                    row[self.column] = c;
                    self.column += 1;
                    assert!(self.column < self.width, "the last column is never written");
                }
            }
        }
    }

    /// The last row, with `|` at the cursor.
    fn row(&self) -> String {
        let mut row = self.rows.last().unwrap().clone();
        if row.len() < self.column {
            row.resize(self.column, ' ');
        }
        row.insert(self.column, '|');
        row.into_iter().collect()
    }
}

/// Knows three words.
struct Words;

impl Completer for Words {
    fn complete(&self, line: &str) -> Completions {
        let start = line.rfind(' ').map_or(0, |at| at + 1);
        let word = &line[start..];
        let words = ["apple", "apricot", "dir/", "übung"];
        let candidates = words.iter().filter(|w| w.starts_with(word)).map(ToString::to_string).collect();
        Completions { start: line[..start].chars().count(), candidates }
    }
}

/// Presses keys; gives the last row and the events.
fn press(width: usize, keys: &[u8]) -> (String, Vec<Event>, Screen) {
    let mut editor = Editor::new(width);
    let mut screen = Screen::new(width);
    let mut out = Vec::new();
    let mut events = Vec::new();
    editor.start("# ", &mut out);
    for key in keys {
        let event = editor.feed(*key, &Words, &mut out);
        if let Some(event) = event {
            events.push(event);
            editor.start("# ", &mut out);
        }
        screen.show(&out);
        out.clear();
    }
    (screen.row(), events, screen)
}

#[test]
fn keys() {
    let cases: &[(&str, &str)] = &[
        ("abc", "# abc|"),
        ("abc\x7f", "# ab|"),
        ("abc\x08\x08", "# a|"),
        ("abc\x1b[D\x1b[Dx", "# ax|bc"),
        ("abc\x02\x02\x7f", "# |bc"),
        ("abc\x01x\x05y", "# xabcy|"),
        ("abc\x1b[H\x1b[Cx", "# ax|bc"),
        ("abc\x1bOH\x1b[3~", "# |bc"),
        ("abc\x1b[1~\x1b[4~d", "# abcd|"),
        ("abc def\x17", "# abc |"),
        ("abc def  \x17", "# abc |"),
        ("abc def\x1b\x7fx", "# abc x|"),
        ("a.b\x1b\x7f", "# a.|"),
        ("abc def\x01\x1bf!", "# abc!| def"),
        ("abc def\x1bb!", "# abc !|def"),
        ("abc def\x1b[1;5D\x1b[1;5D!", "# !|abc def"),
        ("abc def\x01\x1bd", "# | def"),
        ("abc\x01\x0b", "# |"),
        ("abc\x02\x0b", "# ab|"),
        ("abc\x02\x15", "# |c"),
        ("abc\x15x\x19", "# xabc|"),
        ("abc\x02\x04", "# ab|"),
        ("äö\x1b[D\x7f", "# |ö"),
        ("a\x1b[99;99;99Zb", "# ab|"),
        ("one\rtwo\r\x1b[A", "# two|"),
        ("one\rtwo\r\x10\x10", "# one|"),
        ("one\rtwo\rtyp\x10\x10\x0e\x0e", "# typ|"),
        ("one\rone\r\r\x10\x10", "# one|"),
        ("one\rt\x10x\x0e\x10", "# one|"),
        ("ap\t", "# ap|"),
        ("app\t", "# apple |"),
        ("say app\tx", "# say apple x|"),
        ("d\t", "# dir/|"),
        ("ü\t", "# übung |"),
        ("app\x01\t", "# |app"),
        ("zzz\t", "# zzz|"),
        ("ab\x0c", "# ab|"),
    ];
    for (keys, expected) in cases {
        let (row, _, _) = press(40, keys.as_bytes());
        assert_eq!(row, *expected, "{keys:?}");
    }
}

#[test]
fn several_possibilities_are_shown() {
    let (row, _, screen) = press(40, b"say ap\t");
    let rows: Vec<String> = screen.rows.iter().map(|row| row.iter().collect()).collect();
    assert_eq!(rows, ["# say ap", "apple  apricot", "# say ap"]);
    assert_eq!(row, "# say ap|");
}

#[test]
fn events() {
    let line = |text: &str| Event::Line(text.to_owned());
    for (keys, expected) in [
        (&b"one\rtwo\n"[..], vec![line("one"), line("two")]),
        (b"one\r\ntwo\r\n", vec![line("one"), line("two")]),
        (b"\n\n", vec![line(""), line("")]),
        (b"abc\x03x\r", vec![Event::Interrupt, line("x")]),
        (b"\x04", vec![Event::End]),
        (b"a\x04\x15\x04", vec![Event::End]),
        (b"ab\x01x\r", vec![line("xab")]),
    ] {
        assert_eq!(press(40, keys).1, expected, "{keys:?}");
    }
}

#[test]
fn a_long_line_scrolls() {
    let (row, _, _) = press(16, b"abcdefghijklmnopqrstuvwxyz");
    assert_eq!(row, "# opqrstuvwxyz|");
    let (row, _, _) = press(16, b"abcdefghijklmnopqrstuvwxyz\x01");
    assert_eq!(row, "# |abcdefghijklm");
    let (row, events, _) = press(16, b"abcdefghijklmnopqrstuvwxyz\x01X\r");
    assert_eq!((row.as_str(), events), ("# |", vec![Event::Line("Xabcdefghijklmnopqrstuvwxyz".into())]));
}

#[test]
fn the_line_has_a_limit() {
    let keys = vec![b'x'; sh::limits::MAX_EDIT_LINE + 10];
    let (_, _, screen) = press(16, &keys);
    assert_eq!(screen.bells, 10);
}

#[test]
fn the_history_has_a_limit() {
    let mut editor = Editor::new(80);
    let mut out = Vec::new();
    for number in 0..sh::limits::MAX_HISTORY + 5 {
        editor.start("", &mut out);
        for key in format!("{number}\r").bytes() {
            editor.feed(key, &Words, &mut out);
        }
    }
    let history: Vec<&str> = editor.history().collect();
    assert_eq!((history.len(), history[0]), (sh::limits::MAX_HISTORY, "5"));
}

#[test]
fn no_keys_break_it() {
    // A small generator: the same keys each time, in no order that a person would choose.
    let mut seed = 12345u64;
    let interesting = b"\x1b[OABCDHF~;0123456789\x01\x02\x03\x04\x05\x06\x08\t\x0b\x0c\x0e\x10\x15\x17\x19\x7f\r\nab \xc3\xbc\xff\xf0";
    for width in [1, 5, 16, 80] {
        let mut editor = Editor::new(width);
        let mut out = Vec::new();
        editor.start("# ", &mut out);
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = interesting[(seed >> 33) as usize % interesting.len()];
            if editor.feed(key, &Words, &mut out).is_some() {
                editor.start("# ", &mut out);
            }
            assert!(std::str::from_utf8(&out).is_ok());
            out.clear();
        }
    }
}

/// A terminal from which given keys come.
struct Keyboard {
    keys: Mutex<Vec<u8>>,
    screen: Mutex<Vec<u8>>,
    raw: Mutex<Vec<bool>>,
}

impl Io for Keyboard {
    fn read(&self, buf: &mut [u8]) -> Result<usize, Errno> {
        let mut keys = self.keys.lock().unwrap();
        let n = buf.len().min(keys.len()).min(5);
        buf[..n].copy_from_slice(&keys[..n]);
        keys.drain(..n);
        Ok(n)
    }
    fn write(&self, buf: &[u8]) -> Result<usize, Errno> {
        self.screen.lock().unwrap().extend_from_slice(buf);
        Ok(buf.len())
    }
    fn is_terminal(&self) -> bool {
        true
    }
    fn set_raw(&self, raw: bool) {
        self.raw.lock().unwrap().push(raw);
    }
}

/// Types keys into a shell; gives what it printed and its exit status.
fn type_in(keys: &str) -> (String, String, i32) {
    let sys = Fake::new();
    sys.put("/tmp/some file", b"x", 0o644);
    sys.put("/tmp/data.txt", b"x", 0o644);
    let mut bench = Bench::with(sys, &[], false);
    let keyboard = Arc::new(Keyboard {
        keys: Mutex::new(keys.as_bytes().to_vec()),
        screen: Mutex::default(),
        raw: Mutex::default(),
    });
    let terminal: Arc<dyn Io> = keyboard.clone();
    let names = |prefix: &str| -> Vec<String> {
        let all = ["task::schedule", "task::spawn", "work_add"];
        all.iter().filter(|name| name.starts_with(prefix)).map(ToString::to_string).collect()
    };
    let status = interact(&mut bench.shell, &terminal, &names);
    assert_eq!(keyboard.raw.lock().unwrap().last(), Some(&false), "the terminal is left as it was");
    (bench.out.text(), bench.err.text(), status)
}

#[test]
fn jobs_are_announced() {
    let (_, err, _) = type_in("sleep 0.01 &\rwhile kill -0 $! 2> /dev/null; do sleep 0.01; done\r");
    assert_eq!(err, "[1] 2\n[1] Done           2 sleep\n");
}

#[test]
fn a_session() {
    for (keys, out, status) in [
        ("echo one\recho two\r", "one\ntwo\n", 0),
        ("if true\rthen echo yes\rfi\r", "yes\n", 0),
        ("if true\r\x03echo after\r", "after\n", 0),
        ("false\r\x04", "", 1),
        ("echo a\rexit 3\recho no\r", "a\n", 3),
        ("ech\tx\r", "x\n", 0),
        ("cd /tm\t\rpwd\r", "/tmp\n", 0),
        ("cd /tmp\rcat da\t\r", "x", 0),
        ("echo /tm\tda\t\r", "/tmp/data.txt\n", 0),
        ("echo 'p:x task::sch\t'\r", "p:x task::schedule \n", 0),
        ("echo s=@work\tq\r", "s=@work_add q\n", 0),
        ("abc=1\recho $ab\t\r", "1\n", 0),
        ("echo a; ec\tb\r", "a\nb\n", 0),
        ("echo 'x\ry'\r", "x\ny\n", 0),
        ("if\r\x04echo ok\r", "ok\n", 0),
    ] {
        let (got, err, ended) = type_in(keys);
        assert_eq!((got.as_str(), ended), (out, status), "{keys:?}: {err}");
    }
}
