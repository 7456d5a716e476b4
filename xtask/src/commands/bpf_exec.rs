//! `cargo xtask bpf-exec`: runs BPF programs in the guest and prints what they leave in r0.
//!
//! ```text
//!   standard input, MEMORY   one case   ─┐                                      ┌─▶ r0, or why not on standard error
//!   --batch FILE             a JSON list ┴▶ lines ─▶ guest: bpf exec ─▶ lines ──┴─▶ a JSON list
//! ```
//!
//! A case in a batch is `{"program": HEX, "memory": HEX}`, of which the memory may be left out; its answer is `{"r0": HEX}`
//! or `{"error": TEXT}`. What the guest would refuse to read as a line is refused here.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::initramfs::GuestFile;
use crate::machine::Machine;
use crate::run::{self, Folder, Streams};

/// What has to be said to the kernel before it runs what nobody has verified.
const UNVERIFIED: &str = "trapline.bpf.unverified";
/// Where the cases lie in the guest.
const CASES: &str = "bpf-cases";
/// How the guest's answer begins when it is not a number.
const ERROR: &str = "error: ";

/// How programs are run.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// Without the analysis of their paths.
    pub unverified: bool,
    /// Compiled.
    pub jit: bool,
}

/// Runs one case or a batch; the status is 1 when one case was refused or did not come to its end.
///
/// # Errors
/// What cannot be read; a guest that does not answer.
pub fn run(machine: &Machine, batch: Option<&Path>, memory: Option<&str>, how: How) -> Result<u8> {
    let cases = match batch {
        Some(path) => {
            let text = std::fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
            read_batch(&text)?
        }
        None => {
            let mut program = String::new();
            std::io::stdin().read_to_string(&mut program).context("could not read the program")?;
            vec![line(&program, memory.unwrap_or_default())?]
        }
    };
    let answers = answers(machine, &cases, how)?;
    if batch.is_some() {
        println!("{}", Value::Array(answers.iter().map(|answer| as_json(answer)).collect()));
        return Ok(0);
    }
    match answers.first().and_then(|answer| answer.strip_prefix(ERROR)) {
        Some(why) => {
            eprintln!("{why}");
            Ok(1)
        }
        None => {
            println!("{}", answers.join(""));
            Ok(0)
        }
    }
}

/// The lines of a batch.
fn read_batch(text: &[u8]) -> Result<Vec<String>> {
    let list: Value = serde_json::from_slice(text).context("the batch is no JSON")?;
    let list = list.as_array().context("the batch is no list")?;
    let case = |(n, case): (usize, &Value)| {
        let field = |name: &str| match &case[name] {
            Value::Null => Ok(""),
            Value::String(text) => Ok(text.as_str()),
            _ => bail!("case {n}: {name:?} is no text"),
        };
        line(field("program")?, field("memory")?).with_context(|| format!("case {n}"))
    };
    list.iter().enumerate().map(case).collect()
}

/// A case as a line. Blanks and ends of lines between digits do not count.
fn line(program: &str, memory: &str) -> Result<String> {
    let digits = |text: &str| text.split_ascii_whitespace().collect::<String>();
    let (program, memory) = (digits(program), digits(memory));
    if program.is_empty() {
        bail!("there is no program");
    }
    if !(program.clone() + &memory).bytes().all(|byte| byte.is_ascii_hexdigit()) {
        bail!("a program and its memory are hexadecimal digits");
    }
    Ok(format!("{program} {memory}"))
}

/// What the guest answers to each case.
fn answers(machine: &Machine, cases: &[String], how: How) -> Result<Vec<String>> {
    if cases.is_empty() {
        return Ok(Vec::new());
    }
    let folder = Folder::new()?;
    let host = folder.path.join(CASES);
    std::fs::write(&host, cases.join("\n")).context("could not write the cases")?;
    let built = machine.kernel(&folder.path)?;
    let mut machine = machine.clone();
    machine.files.push(GuestFile { host, guest: CASES.into() });
    if how.unverified {
        machine.append.push(UNVERIFIED.into());
    }
    let engine = if how.jit { "--jit " } else { "" };
    let script = format!("bpf exec {engine}/{CASES} 2>&1\n");
    let outcome = run::script(&built, &machine, script.as_bytes(), Streams::Collect)?;
    let text = String::from_utf8_lossy(&outcome.stdout);
    let answers: Vec<String> = text.lines().map(str::to_owned).collect();
    if answers.len() != cases.len() || answers.iter().any(|answer| answer.starts_with("bpf: ")) {
        bail!("the guest does not answer each case: {}", text.trim_end());
    }
    Ok(answers)
}

fn as_json(answer: &str) -> Value {
    match answer.strip_prefix(ERROR) {
        Some(why) => json!({ "error": why }),
        None => json!({ "r0": answer }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_read() {
        let text = br#"[{"program": "95 00\n00", "memory": "ff"}, {"program": "95"}]"#;
        assert_eq!(read_batch(text).unwrap(), ["950000 ff", "95 "]);
        for wrong in [&b"{}"[..], b"[", b"[1]", b"[{}]", br#"[{"program": 1}]"#, br#"[{"program": "9x"}]"#] {
            assert!(read_batch(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn answers_become_json() {
        assert_eq!(as_json("2a"), json!({"r0": "2a"}));
        assert_eq!(as_json("error: insn 0: too many jumps"), json!({"error": "insn 0: too many jumps"}));
    }
}
