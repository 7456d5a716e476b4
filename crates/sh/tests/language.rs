//! Scripts in, text out: messages, statuses, limits, and what only this shell does.

mod fake;

use fake::{Bench, Fake, run, run_on};
use sh::{Fed, Io};

/// Goes through a file of cases, separated by `---`: a script, a line `=> STATUS`, then what it prints; lines
/// of standard error are marked with `! `.
fn cases(text: &str) {
    let mut wrong = Vec::new();
    for case in text.split("\n---\n") {
        let (script, expected) = case.split_once("\n=> ").expect("a case has a status");
        let (status, printed) = expected.split_once('\n').unwrap_or((expected, ""));
        let mut bench = Bench::new();
        bench.shell.ctx.cwd = "/tmp".to_owned();
        let got = run_on(&mut bench, script.trim_start());
        let lines = |mark: &str, wanted: bool| -> String {
            let lines = printed.lines().filter(|line| line.starts_with("! ") == wanted);
            lines.map(|line| line.strip_prefix(mark).unwrap_or(line).to_owned() + "\n").collect()
        };
        let expected = (lines("", false), lines("! ", true), status.trim().parse().expect("a number"));
        if (got.out.clone(), got.err.clone(), got.status) != expected {
            wrong.push(format!("{script}\n  expected: {expected:?}\n  got: {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn messages() {
    cases(include_str!("corpus/messages.txt"));
}

#[test]
fn syntax_errors_run_nothing() {
    for script in [
        "echo a; fi",
        "echo a; )",
        "echo a | | echo b",
        "echo a && ; echo b",
        "if true; then done",
        "for 1x in a; do echo a; done",
        "echo a; ;; echo b",
        "case a in esac esac",
        "echo a; }",
        "echo $(fi)",
        "echo a (b)",
        "echo a > ; echo b",
        "while true; do echo a; fi",
        "echo ${a b}",
        "{ ; }",
        "( )",
        "if; then echo a; fi",
    ] {
        let got = run(script);
        assert_eq!((got.out.as_str(), got.status), ("", 2), "{script}: {}", got.err);
        assert!(got.err.starts_with("sh: syntax error: "), "{script}: {}", got.err);
    }
}

#[test]
fn what_is_not_complete_asks_for_more() {
    for script in [
        "echo 'a",
        "echo \"a",
        "echo $(a",
        "echo ${a",
        "echo $((1",
        "echo `a",
        "a &&",
        "a ||",
        "a |",
        "if a",
        "if a; then",
        "if a; then b; else",
        "for i",
        "for i in a b",
        "for i in a; do b",
        "while a; do",
        "case a in",
        "case a in b) c",
        "case a in b) c;;",
        "{ a",
        "( a",
        "f()",
        "f() {",
        "cat <<EOF",
        "cat <<EOF\na",
        "a \\\n",
        "!",
        "until a",
        "if a; then b; elif",
    ] {
        let mut bench = Bench::new();
        let text = script.strip_suffix('\n').unwrap_or(script);
        assert_eq!(bench.shell.feed(text), Fed::More, "{script}");
        let Fed::Ran(status) = bench.shell.feed_end() else { panic!("{script}") };
        assert_eq!(status, 2, "{script}: {}", bench.err.text());
        assert_eq!(bench.shell.feed("echo next"), Fed::Ran(0), "{script}");
        assert_eq!(bench.out.text(), "next\n");
    }
}

#[test]
fn lines_are_fed_one_by_one() {
    let mut bench = Bench::new();
    assert_eq!(bench.shell.feed("false"), Fed::Ran(1));
    assert_eq!(bench.shell.feed(""), Fed::Ran(1));
    assert_eq!(bench.shell.feed("# comment"), Fed::Ran(1));
    assert_eq!(bench.shell.feed("echo $?"), Fed::Ran(0));
    assert_eq!(bench.shell.feed("for i in a b"), Fed::More);
    assert_eq!(bench.shell.feed("do echo $i"), Fed::More);
    assert_eq!(bench.shell.feed("done"), Fed::Ran(0));
    assert_eq!(bench.shell.last_failure(), 1);
    assert_eq!(bench.shell.feed("exit 7"), Fed::Exited(7));
    assert_eq!(bench.shell.feed("echo no"), Fed::Exited(7));
    assert_eq!(bench.out.text(), "1\na\nb\n");
}

// --- limits ----------------------------------------------------------------------------------------

/// Runs a script in which something must be refused with this message; the shell must go on.
fn refused(script: &str, message: &str) {
    let mut bench = Bench::new();
    let got = run_on(&mut bench, script);
    assert!(got.err.contains(message), "{message}: {:?} {:.300}", got.status, got.err);
    let after = run_on(&mut bench, "echo alive");
    assert_eq!(after.out, "alive\n", "{message}");
}

#[test]
fn limits() {
    let around = |left: &str, n: usize, middle: &str, right: &str| {
        format!("{}{middle}{}", left.repeat(n), right.repeat(n))
    };
    refused(&around("{ ", 100, "echo a;", " }; "), "constructs nested too deeply");
    refused(&around("(", 100, "echo a", ")"), "constructs nested too deeply");
    refused(&around("if true; then ", 100, "echo a;", " fi; "), "constructs nested too deeply");
    refused(&around("echo $(", 200, "echo a", ")"), "substitutions nested too deeply");
    refused(&around("echo $(", 40, "echo a", ")"), "subshells nested too deeply");
    refused(&format!("echo {}", around("${x:-", 50, "a", "}")), "expansions nested too deeply");
    refused(&format!("echo $(({}))", around("(", 5000, "1", ")")), "nested too deeply");
    refused(&format!("echo {}", "a".repeat(100_000)), "word too long");
    refused(&"echo a;".repeat(100_000), "command too long");
    refused(&format!("echo a{}", "|cat".repeat(100)), "too many commands in a pipeline");
    refused("f() { f; }; f", "nested too deeply");
    refused("e='eval $e'; eval $e", "nested too deeply");
    refused("f() { (f); }; f", "subshells nested too deeply");
    refused("f() { f | f; }; f", "too many tasks");
    refused("f() { f & f; }; f", "too many tasks");
    refused("echo 'sh /tmp/s' > /tmp/s; sh /tmp/s", "subshells nested too deeply");
    refused("echo '. /tmp/s' > /tmp/s; . /tmp/s", "nested too deeply");
    refused("x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done", "expansion too long");
    refused("x=$(seq 1 1000); x=\"$x $x $x $x $x\"; set -- $x $x $x $x", "argument list too long");
    refused("for i in $(seq 1 100); do sleep 5 & done; kill $!", "too many background jobs");
    refused("x=$(yes)", "Argument list too long");
    refused("i=0; while true; do eval v$i=1; i=$((i+1)); done", "too many variables");
    refused(
        "x=aaaaaaaaaaaaaaaa; i=0; while [ $i -lt 15 ]; do x=$x$x; i=$((i+1)); done; a=$x; b=$x; c=$x; d=$x; e=$x",
        "too much in variables",
    );
    refused("yes | tail -n 100000000", "File too large");
    refused("cat /dev/zero | grep x", "File too large");
    refused("yes | sort | tail -n 1", "File too large");
    refused("tail -n 10 < /dev/zero", "File too large");
    refused("cat /dev/zero | { read x; }", "line too long");
    refused("printf '%100000d' 1", "width too large");
    refused("echo a | grep -E '(((a{200}){200}){200})'", "Regular expression too big");
    refused(
        "test '(' '(' '(' '(' '(' '(' '(' '(' '(' a ')' ')' ')' ')' ')' ')' ')' ')' ')'",
        "nested too deeply",
    );
    refused(&format!("x={}; echo ${{x#a}}", "$(seq 1 20000)"), "value too long for a pattern");
}

#[test]
fn what_fits_is_not_refused() {
    let around = |left: &str, n: usize, middle: &str, right: &str| {
        format!("{}{middle}{}", left.repeat(n), right.repeat(n))
    };
    for script in [
        around("{ ", 60, "echo a;", " }; "),
        around("if true; then ", 60, "echo a;", " fi; "),
        format!("echo {}", around("${x:-", 7, "a", "}")),
        format!("echo $({})", around("echo $(", 14, "echo a", ")")),
        format!("[ $(({})) = 1 ] && echo a", around("(", 200, "1", ")")),
        format!("echo a{}", "|cat".repeat(30)),
        "f() { if [ $1 -gt 0 ]; then f $(($1 - 1)); else echo a; fi; }; f 100".to_owned(),
    ] {
        let got = run(&script);
        assert_eq!((got.out.as_str(), got.status), ("a\n", 0), "{script:.100}: {}", got.err);
    }
}

#[test]
fn no_more_tasks() {
    for script in ["echo a | cat", "(echo a)", "echo $(echo a)", "echo a &", "sh -c 'echo a'"] {
        let mut bench = Bench::new();
        bench.sys.spawns_left.store(0, std::sync::atomic::Ordering::SeqCst);
        let got = run_on(&mut bench, script);
        assert_eq!(got.out, "", "{script}");
        assert!(got.err.contains("Resource temporarily unavailable"), "{script}: {}", got.err);
        assert_ne!(got.status, 0, "{script}");
        assert_eq!(run_on(&mut bench, "echo alive").out, "alive\n");
    }
    // The second of three cannot be started: the first must not wait for it for ever.
    let mut bench = Bench::new();
    bench.sys.spawns_left.store(1, std::sync::atomic::Ordering::SeqCst);
    assert_ne!(run_on(&mut bench, "yes | cat | cat").status, 0);
}

// --- Ctrl-C and signals ----------------------------------------------------------------------------

/// Runs a script and presses Ctrl-C once it has printed something.
fn interrupted(script: &str) -> (String, i32) {
    let mut bench = Bench::new();
    bench.shell.interactive = true;
    let (sys, out) = (bench.sys.clone(), bench.out.clone());
    let finger = std::thread::spawn(move || {
        while out.text().is_empty() {
            std::thread::yield_now();
        }
        sys.interrupt();
    });
    let got = run_on(&mut bench, script);
    finger.join().expect("the finger");
    assert_eq!(run_on(&mut bench, "echo alive").out, "alive\n", "{script}");
    (got.out, got.status)
}

#[test]
fn ctrl_c_ends_what_never_ends() {
    for script in [
        "echo go; while :; do :; done; echo no",
        "echo go; until false; do x=$x; done",
        "echo go; f() { echo x > /dev/null; f2; }; f2() { f; }; while :; do echo > /dev/null; done",
        "echo go; for i in $(seq 1 1000); do sleep 1000; done",
        "echo go; sleep 1000; echo no",
        "echo go; yes > /dev/null",
        "echo go; cat /dev/zero > /dev/null",
        "echo go; sleep 1000 | cat",
        "echo go; yes | while read x; do :; done",
        "echo go; x=$(sleep 1000); echo no",
        "echo go; (while :; do :; done); echo no",
        "echo go; sleep 1000 & wait; echo no",
        "echo go; seq 1 1000000000000 > /dev/null",
        "echo go; cat /dev/zero | tr a b > /dev/null",
        "echo go; sh -c 'while :; do :; done'; echo no",
        "echo go; while :; do nosuch 2> /dev/null; done || echo no",
    ] {
        assert_eq!(interrupted(script), ("go\n".to_owned(), 130), "{script}");
    }
}

#[test]
fn ctrl_c_can_be_caught() {
    let mut bench = Bench::new();
    let ctx = &mut bench.shell.ctx;
    assert!(!ctx.catch_interrupt());
    bench.sys.interrupt();
    assert!(ctx.stopped().is_some());
    assert!(ctx.catch_interrupt());
    assert!(ctx.stopped().is_none() && !ctx.catch_interrupt());
    ctx.print("last words\n");
    ctx.flush();
    assert_eq!(bench.out.text(), "last words\n");
}

#[test]
fn ctrl_c_spares_the_background() {
    let mut bench = Bench::new();
    bench.shell.interactive = true;
    run_on(&mut bench, "while [ ! -e /tmp/stop ]; do sleep 0.01; done && echo done > /tmp/f &");
    let sys = bench.sys.clone();
    sys.interrupt();
    let got = run_on(&mut bench, "touch /tmp/stop; wait; cat /tmp/f");
    assert_eq!((got.out.as_str(), got.status), ("done\n", 0), "{}", got.err);
}

#[test]
fn ctrl_c_ends_a_script() {
    let mut bench = Bench::new();
    let (sys, out) = (bench.sys.clone(), bench.out.clone());
    let finger = std::thread::spawn(move || {
        while out.text().is_empty() {
            std::thread::yield_now();
        }
        sys.interrupt();
    });
    let got = run_on(&mut bench, "echo go\nsleep 1000\necho no\n");
    finger.join().expect("the finger");
    assert_eq!((got.out.as_str(), got.status), ("go\n", 130));
}

#[test]
fn kill_and_wait() {
    for (script, out) in [
        ("sleep 1000 & kill $!; wait $!; echo $?", "143\n"),
        ("while :; do :; done & kill %1; wait %1; echo $?", "143\n"),
        ("yes > /dev/null & kill -9 $!; wait; echo $?", "0\n"),
        ("sleep 1000 & kill -0 $!; echo $?; kill $!; wait $!", "0\n"),
        ("kill 9999 2> /dev/null; echo $?", "1\n"),
        ("wait 9999; echo $?", "127\n"),
        ("(exit 3) & wait $!; echo $?; wait $!; echo $?", "3\n127\n"),
    ] {
        let got = run(script);
        assert_eq!(got.out, out, "{script}: {}", got.err);
    }
}

// --- files that answer -----------------------------------------------------------------------------

#[test]
fn a_control_file_gets_a_line_as_one_write() {
    let mut bench = Bench::new();
    let got = run_on(&mut bench, "cd /sys; echo 12 > control; printf '%d\\n' 13 >> control; cat control");
    assert_eq!((got.out.as_str(), got.err.as_str()), ("[12]\n[13]\n", ""));
    let got = run_on(&mut bench, "echo no number > control; echo $?; seq 3 > control; cat control | cat");
    assert_eq!(got.out, "1\n[12]\n[13]\n", "{}", got.err);
    assert_eq!(got.err, "echo: write error: Invalid argument\nseq: write error: Invalid argument\n");
}

#[test]
fn output_and_errors_keep_their_order() {
    let mut bench = Bench::new();
    let got = run_on(
        &mut bench,
        "{ cat /tmp/nosuch /sys/control /tmp/nosuch2; ls /tmp /nosuch /tmp; } > /tmp/o 2>&1",
    );
    assert_eq!(got.status, 1);
    let text = bench.sys.contents("/tmp/o").expect("the output");
    assert!(text.starts_with("cat: /tmp/nosuch: No such file or directory\ncat: /tmp/nosuch2: "), "{text}");
}

#[test]
fn a_terminal_gets_columns() {
    let sys = Fake::new();
    for number in 0..20 {
        sys.put(&format!("/tmp/file{number}"), b"", 0o644);
    }
    let mut bench = Bench::with(sys, &[], true);
    assert!(bench.out.is_terminal());
    let got = run_on(&mut bench, "ls /tmp");
    let rows: Vec<&str> = got.out.lines().collect();
    assert_eq!(rows.len(), 2, "{}", got.out);
    assert_eq!(rows[0], "file0  file10  file12  file14  file16  file18  file2  file4  file6  file8");
    assert_eq!(run_on(&mut bench, "ls /tmp | head -n 2").out, "file0\nfile1\n");
}

// --- anything --------------------------------------------------------------------------------------

/// Pieces from which scripts are put together at random.
const PIECES: &[&str] = &[
    "echo",
    "a",
    "$x",
    "\"$x\"",
    "'q'",
    "x=1",
    "x=$y",
    ";",
    "&&",
    "||",
    "|",
    "&",
    "\n",
    "(",
    ")",
    "{",
    "}",
    "if",
    "then",
    "else",
    "elif",
    "fi",
    "while",
    "until",
    "do",
    "done",
    "i",
    "in",
    "esac",
    ";;",
    "*)",
    "!",
    ">",
    ">>",
    "<",
    "2>&1",
    "/tmp/f",
    "/dev/null",
    "$(",
    "`",
    "${x:-",
    "${x#",
    "}",
    "$((",
    "))",
    "1",
    "+",
    "<<EOF",
    "EOF",
    "\\",
    "#",
    "*",
    "[a-z]",
    "f()",
    "f",
    "return",
    "break",
    "continue",
    "true",
    "false",
    "cat",
    "head",
    "-n",
    "read",
    "x",
    "set",
    "--",
    "shift",
    "eval",
    "wait",
    "exit",
    "test",
    "[",
    "]",
    "local",
    "unset",
    "$@",
    "$*",
    "$?",
    "$#",
    "$!",
    "~",
    "IFS=:",
    "é",
    "\"",
    "'",
    "seq",
    "3",
    "sort",
    "grep",
    "sh",
    "-c",
    "printf",
    "%s",
    "%d",
    "-e",
    "-u",
    "tr",
    "cut",
    "kill",
    "0",
];

/// Random scripts neither break the shell nor hang it: each gets a bounded number of steps and then Ctrl-C.
#[test]
fn random_scripts() {
    let mut seed = 2026u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for _ in 0..3000 {
        let mut script = String::new();
        for _ in 0..1 + random(14) {
            script.push_str(PIECES[random(PIECES.len())]);
            if random(5) > 0 {
                script.push(' ');
            }
        }
        let mut bench = Bench::new();
        bench.sys.allow_steps(5000);
        bench.shell.run_text(&script);
        let status = bench.shell.status();
        assert!((0..=255).contains(&status), "{script:?}: {status}");
    }
}
