//! What a script that calls `cargo xtask qemu` relies on: streams, exit statuses, and that nothing is left
//! behind. Each test boots the real kernel.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Runs `xtask` with these words and this standard input.
fn xtask(words: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Standard output, status; standard error is shown when a test fails.
fn ran(words: &[&str], input: &str) -> (String, Option<i32>) {
    let out = xtask(words, input);
    eprintln!("{}", String::from_utf8_lossy(&out.stderr));
    (String::from_utf8_lossy(&out.stdout).into_owned(), out.status.code())
}

#[test]
fn standard_input_is_a_script_and_its_output_comes_alone() {
    assert_eq!(
        ran(&["qemu"], "echo one; echo two\nwork work_add 2 40\n"),
        ("one\ntwo\n42\n".into(), Some(0))
    );
}

#[test]
fn errors_and_the_boot_log_go_to_standard_error() {
    let out = xtask(&["qemu"], "nosuchprogram\necho x\n");
    assert_eq!((out.stdout.as_slice(), out.status.code()), (&b"x\n"[..], Some(127)));
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(stderr.contains("nosuchprogram") && stderr.contains("Trapline"), "{stderr}");
}

#[test]
fn the_status_is_that_of_the_last_line_that_failed() {
    assert_eq!(ran(&["qemu"], "nosuchprogram\nfalse\ntrue\n").1, Some(1));
    assert_eq!(ran(&["qemu"], "exit 7\n").1, Some(7));
}

#[test]
fn a_script_can_be_a_file() {
    let path = std::env::temp_dir().join(format!("trapline-cli-{}", std::process::id()));
    std::fs::write(&path, "echo from a file").unwrap();
    let words = ["qemu", "--script", path.to_str().unwrap(), "--smp", "1"];
    assert_eq!(ran(&words, ""), ("from a file\n".into(), Some(0)));
    assert_eq!(ran(&["qemu", "--script", "-"], "echo from stdin\n"), ("from stdin\n".into(), Some(0)));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(ran(&words, "").1, Some(1), "a script that is not there");
}

#[test]
fn host_files_can_be_put_into_the_guest() {
    let path = std::env::temp_dir().join(format!("trapline-cli-file-{}", std::process::id()));
    std::fs::write(&path, "carried over\n").unwrap();
    let file = format!("{}=/tmp/x/y", path.display());
    assert_eq!(ran(&["qemu", "--file", &file], "cat /tmp/x/y\n"), ("carried over\n".into(), Some(0)));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_script_that_never_ends_is_ended() {
    let (stdout, status) = ran(&["qemu", "--timeout", "10"], "echo begun\nwhile true; do true; done\n");
    assert_eq!((stdout.as_str(), status), ("begun\n", Some(124)));
}

/// A pipe that somebody holds open is no script either.
#[test]
fn standard_input_without_an_end_is_given_up() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["qemu", "--timeout", "0.5"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let held = child.stdin.take();
    assert_eq!(child.wait().unwrap().code(), Some(124));
    drop(held);
}

#[test]
fn a_missing_qemu_is_named_with_status_2() {
    let out = xtask(&["qemu", "--qemu", "/nonexistent/qemu"], "");
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("install"));
}

#[test]
fn bad_options_are_refused() {
    for words in [&["qemu", "--smp", "0"][..], &["qemu", "--file", "x=../y"], &["nothing"], &[]] {
        assert_eq!(xtask(words, "").status.code(), Some(2), "{words:?}");
    }
}

/// Killed in a way that nobody can catch, it leaves no QEMU behind.
#[test]
#[cfg(target_os = "linux")]
fn no_qemu_is_left_behind() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["qemu", "--script", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"echo begun\nwhile true; do true; done\n").unwrap();
    let mut begun = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut begun).unwrap();
    let started = children(child.id());
    assert!(!started.is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while started.iter().any(|pid| is_running(*pid)) {
        assert!(Instant::now() < until, "QEMU is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The processes that `parent` started.
fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| status(*pid, "PPid").is_some_and(|p| p == parent.to_string())).collect()
}

/// Whether a process is there and not only a name that nobody has collected.
fn is_running(pid: u32) -> bool {
    status(pid, "State").is_some_and(|state| !state.starts_with('Z'))
}

fn status(pid: u32, field: &str) -> Option<String> {
    let text = std::fs::read_to_string(PathBuf::from(format!("/proc/{pid}/status"))).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.map(|value| value.trim().to_owned())
}
