//! The same scripts in this shell and in the host's `/bin/sh`: output and exit status must be equal.
//!
//! Each script runs in an empty directory. Without a `/bin/sh` there is nothing to compare with, and the test
//! says so.

mod fake;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use fake::{Bench, run_on};

const HOST_SHELL: &str = "/bin/sh";

/// Runs a script in the host's shell, in a fresh directory.
fn host(script: &str, name: &str) -> (String, i32) {
    let dir: PathBuf = std::env::temp_dir().join(format!("sh-oracle-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory to work in");
    let output = Command::new(HOST_SHELL)
        .args(["-c", script])
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
    if !std::path::Path::new(HOST_SHELL).exists() {
        std::println!("no {HOST_SHELL} here: nothing to compare with");
        return;
    }
    let mut wrong = Vec::new();
    let scripts = corpus.split("\n---\n").map(str::trim).filter(|script| !script.is_empty());
    for (number, script) in scripts.enumerate() {
        let (out, status) = host(script, &format!("{name}-{number}"));
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

#[test]
fn programs() {
    compare("programs", include_str!("corpus/programs.txt"));
}
