//! The same scripts in this shell and on the host: output and exit status must be equal.
//!
//! Each script runs in an empty directory. What is compared with is dash, the plainest of the POSIX shells, and
//! the GNU programs; on a host that has others there is nothing to compare with, and the test says so.

mod fake;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use fake::{Bench, run_on};

/// Where dash may be.
const HOST_SHELLS: &[&str] = &["/bin/dash", "/usr/bin/dash", "/usr/local/bin/dash"];

/// The host's shell, if it is the one that is wanted and its programs are, too.
fn host_shell() -> Option<&'static str> {
    let shell = HOST_SHELLS.iter().find(|path| std::path::Path::new(path).exists())?;
    let script = "for p in sort grep; do $p --version 2> /dev/null | grep -q GNU || exit 1; done; hexdump -C < /dev/null";
    let gnu = Command::new(shell).args(["-c", script]).stdin(Stdio::null()).output().ok()?;
    gnu.status.success().then_some(shell)
}

/// Runs a script in the host's shell, in a fresh directory.
fn host(shell: &str, script: &str, name: &str) -> (String, i32) {
    let dir: PathBuf = std::env::temp_dir().join(format!("sh-oracle-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory to work in");
    let output = Command::new(shell)
        .args(["-c", script, "sh"])
        .current_dir(&dir)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .expect("the host's shell runs");
    std::fs::remove_dir_all(&dir).expect("the directory goes");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().unwrap_or(-1))
}

fn compare(name: &str, corpus: &str) {
    let Some(shell) = host_shell() else {
        std::println!("no dash with GNU programs and hexdump here: nothing to compare with");
        return;
    };
    let mut wrong = Vec::new();
    let scripts = corpus.split("\n---\n").map(str::trim).filter(|script| !script.is_empty());
    for (number, script) in scripts.enumerate() {
        let (out, status) = host(shell, script, &format!("{name}-{number}"));
        let mut bench = Bench::new();
        bench.shell.ctx.cwd = "/tmp".to_owned();
        // `sh -c` ends at the first error of an expansion; so it is one text here, too.
        let ours = run_on(&mut bench, script);
        if (ours.out.as_str(), ours.status) != (out.as_str(), status) {
            wrong.push(format!(
                "{script}\n  host: {out:?} => {status}\n  here: {:?} => {} {:?}",
                ours.out, ours.status, ours.err
            ));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn language() {
    compare("language", include_str!("corpus/language.txt"));
}

/// Writes scripts at random that end by themselves: every loop is over a list.
struct Writer(u64);

impl Writer {
    fn random(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    fn pick(&mut self, from: &[&str]) -> String {
        from[self.random(from.len())].to_owned()
    }

    fn word(&mut self, depth: usize) -> String {
        match self.random(if depth == 0 { 8 } else { 14 }) {
            0..=2 => {
                self.pick(&["a", "b", "c1", "-n", "foo.bar", "1", "22", "*", "?", "x=y", "{", "in", "#"])
            }
            3 => self.pick(&["$x", "$y", "$1", "$#", "$?", "${z}", "$@", "$*", "${#x}", "$0$1"]),
            4 => self.pick(&["\"$x\"", "\"$@\"", "\"$*\"", "'$x'", "\"\"", "\\*", "\"a  $y\"", "''$z"]),
            5 => self.pick(&["$((x+1))", "$((2*3-y))", "\"$((z=z+1))\"", "$((1<2?3:4))", "$((!x||y&&1))"]),
            6 => self.pick(&["${x:-d}", "${u-u v}", "${y:+p}", "${x#?}", "${y%b*}", "${x##*a}", "${u:=set}"]),
            7 => {
                let quoted = self.pick(&["'a b'", "\"c d\"", "e\\ f"]);
                quoted + &self.pick(&["", "g", "$x"])
            }
            8 => format!("$( {})", self.list(depth - 1)),
            9 => format!("\"$( {})\"", self.command(depth - 1)),
            10 => format!("${{u:-{}}}", self.word(depth - 1)),
            11 => format!("\"${{x:+{}}}\"", self.pick(&["p", "$y", "q r"])),
            12 => format!("{}{}", self.pick(&["p", "$x", "'q'"]), self.word(depth - 1)),
            _ => format!("`{}`", self.pick(&["echo back", "echo $x", "printf 'a\\nb'"])),
        }
    }

    fn words(&mut self, depth: usize) -> String {
        let count = 1 + self.random(3);
        (0..count).map(|_| self.word(depth)).collect::<Vec<_>>().join(" ")
    }

    fn command(&mut self, depth: usize) -> String {
        let simple = 10;
        let d = depth.saturating_sub(1);
        match self.random(if depth == 0 { simple } else { 22 }) {
            0..=3 => format!("printf '[%s]' {}", self.words(depth)),
            4 => format!("echo . {}", self.words(depth)),
            5 => format!("{}={}", self.pick(&["x", "y", "z"]), self.word(depth)),
            6 => self.pick(&["true", "false", "x=1", "y='a b'", "z=", "unset u x"]),
            7 => format!(
                "[ {} = {} ]",
                self.pick(&["\"$x\"", "a", "\"$y\""]),
                self.pick(&["a", "\"$z\"", "1"])
            ),
            8 => format!("set -- {}", self.words(depth)),
            9 => self.pick(&[
                "f a",
                "f \"$x\" b",
                "(exit 3)",
                "cat f1 2>/dev/null",
                "echo w > f1",
                "echo v >> f1",
            ]),
            10 => format!("if {}; then {}; fi", self.list(d), self.list(d)),
            11 => format!("if {}; then {}; else {}; fi", self.list(d), self.list(d), self.list(d)),
            12 => format!("for i in {}; do {}; echo $i; done", self.words(d), self.list(d)),
            13 => format!(
                "for i in 1 2 3; do {} && {}; done",
                self.command(d),
                self.pick(&["break", "continue", "true"])
            ),
            14 => format!(
                "case {} in {}) {};; *) {};; esac",
                self.word(d),
                self.pick(&["a*", "'*'", "1|22", "?", "$x"]),
                self.list(d),
                self.list(d)
            ),
            15 => format!("( {} )", self.list(d)),
            16 => format!("{{ {}; }}", self.list(d)),
            17 => format!("{} | cat", self.command(d)),
            18 => format!("echo p q | {{ read r s; {}; echo \"$r-$s\"; }}", self.command(d)),
            19 => format!("{{ {}; }} > g{depth}; cat g{depth}", self.list(d)),
            20 => format!("! {{ {}; }}", self.list(d)),
            _ => format!("f() {{ {}; return $#; }}", self.list(0)),
        }
    }

    fn list(&mut self, depth: usize) -> String {
        let mut text = self.command(depth);
        for _ in 0..self.random(3) {
            text += &self.pick(&["; ", " && ", " || ", "\n"]);
            text += &self.command(depth);
        }
        text
    }
}

/// A number from the environment.
fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Scripts that nobody wrote. `SH_ORACLE_SEED` and `SH_ORACLE_SCRIPTS` choose which ones, and how many.
#[test]
fn random_scripts() {
    let mut writer = Writer(from_environment("SH_ORACLE_SEED", 41));
    let scripts: Vec<String> = (0..from_environment("SH_ORACLE_SCRIPTS", 400))
        .map(|_| format!("x=1; y=ab; f() {{ echo f; }}; {}; echo \"<$x$y$?>\"", writer.list(3)))
        .collect();
    compare("random", &scripts.join("\n---\n"));
}

impl Writer {
    /// A regular expression; what basic and extended ones write differently is chosen by `e`.
    fn regex(&mut self, depth: usize, e: bool) -> String {
        let mut text = String::new();
        for _ in 0..1 + self.random(3) {
            let (open, close) = if e { ("(", ")") } else { ("\\(", "\\)") };
            text += &match self.random(if depth == 0 { 8 } else { 10 }) {
                0..=3 => self.pick(&["a", "b", "c", "ab", "1"]),
                4 => self.pick(&[".", "[ab]", "[^a]", "[[:digit:]]", "[b-d]", "[]a]", "\\.", "\\w", "\\b"]),
                5 => self.pick(&["^a", "b$", "^", "$", "\\<", "\\>"]),
                6 => self.pick(&["a*", "b*", ".*"]),
                7 => self.pick(if e {
                    &["a+", "b?", "a{2}", "b{1,2}"]
                } else {
                    &["a\\+", "b\\?", "a\\{2\\}", "c*"]
                }),
                8 => format!("{open}{}{close}{}", self.regex(depth - 1, e), self.pick(&["", "*"])),
                _ => {
                    let or = if e { "|" } else { "\\|" };
                    format!("{open}{}{or}{}{close}", self.regex(depth - 1, e), self.regex(depth - 1, e))
                }
            };
        }
        text
    }

    /// A program and its input.
    fn filter(&mut self) -> String {
        let lines: Vec<String> = (0..1 + self.random(8))
            .map(|_| {
                let words = 1 + self.random(4);
                let word = |w: &mut Self| {
                    w.pick(&["a", "b", "ab", "ba", "abc", "10", "9", "-3", "1.5", "B", "aab1", "", "b:c"])
                };
                (0..words).map(|_| word(self)).collect::<Vec<_>>().join(&self.pick(&[" ", " ", ":", "  "]))
            })
            .collect();
        let e = self.random(2) == 0;
        let command = match self.random(8) {
            0..=2 => {
                let options = self
                    .pick(&["", "-o ", "-c ", "-v ", "-n ", "-i ", "-w ", "-x ", "-on ", "-A1 ", "-B1 -n "]);
                format!("grep {}{options}'{}'", if e { "-E " } else { "" }, self.regex(2, e))
            }
            3 => format!(
                "sort {}",
                self.pick(&[
                    "",
                    "-n",
                    "-r",
                    "-u",
                    "-f",
                    "-k2",
                    "-k2,2",
                    "-t: -k2",
                    "-k1,1n -k2r",
                    "-nu",
                    "-b",
                    "-k2n",
                    "-s -k1,1",
                    "-k1.2,1.2",
                    "-rn"
                ])
            ),
            4 => format!(
                "cut {}",
                self.pick(&[
                    "-c1",
                    "-c2-",
                    "-c1,3",
                    "-d: -f2",
                    "-d: -f1,3",
                    "-d ' ' -f2-",
                    "-s -d: -f1",
                    "-d' ' -f-2"
                ])
            ),
            5 => format!(
                "tr {}",
                self.pick(&[
                    "a-c A-C",
                    "-d a",
                    "-s ab",
                    "-cd 'a-z\\n'",
                    "'[:lower:]' '[:upper:]'",
                    "abc x",
                    "-s '[:blank:]' _",
                    "-c 'a-z\\n' .",
                    "-ds a b"
                ])
            ),
            6 => format!("uniq {}", self.pick(&["", "-c", "-d", "-u", "-i"])),
            _ => self.pick(&[
                "head -n 2",
                "tail -n 2",
                "tail -n +2",
                "head -c 5",
                "tail -c 4",
                "wc",
                "wc -l",
                "wc -w",
                "cat -n",
                "hexdump -C",
                "hexdump",
            ]),
        };
        format!(
            "printf '%s\\n' {} | {command}; echo $?",
            lines.iter().map(|l| format!("'{l}'")).collect::<Vec<_>>().join(" ")
        )
    }
}

/// Filters that nobody wrote, on input that nobody wrote.
#[test]
fn random_filters() {
    let mut writer = Writer(from_environment("SH_ORACLE_SEED", 41));
    let scripts: Vec<String> =
        (0..from_environment("SH_ORACLE_SCRIPTS", 400)).map(|_| writer.filter()).collect();
    compare("filters", &scripts.join("\n---\n"));
}

#[test]
fn programs() {
    compare("programs", include_str!("corpus/programs.txt"));
}
