//! The language: scripts in, text out.

mod fake;

use fake::run;

#[test]
fn first() {
    for script in [
        "echo hello world",
        "x=5; echo $x ${x}y \"$x\" '$x'",
        "for i in 1 2 3; do echo $i; done",
        "i=0; while test_lt; do :; done; echo $?",
        "echo $(echo a; echo b)",
        "echo $((1+2))",
        "if true; then echo yes; else echo no; fi",
        "case abc in x) echo 1;; a*) echo 2;; esac",
        "{ echo a; echo b; } > /tmp/f; (echo c)",
        "f() { echo \"f $1 $#\"; return 3; }; f a b; echo $?",
        "yes | { read x; echo $x; }",
        "cat <<EOF\nhi\nEOF",
        "nosuch",
        "echo /d*/n* *",
        "fi",
        "echo a | (read x; echo got $x) ; echo b & wait; echo $?",
        "for i in 1 2 3; do for j in a b c; do [ ] ; if false; then :; else continue 2; fi; done; done; echo $?",
    ] {
        let got = run(script);
        std::println!("--- {script}\n{}{}=> {}", got.out, got.err, got.status);
    }
}
