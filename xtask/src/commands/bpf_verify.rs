//! `cargo xtask bpf-verify --batch FILE`: asks the guest's verifier about programs.
//!
//! ```text
//!   a JSON list ──▶ lines ──▶ guest: bpf verify ──▶ accepted: … │ refused: log ──▶ a JSON list
//! ```
//!
//! A case is `{"type": KIND, "program": HEX, "maps": [MAP…]}`; its answer is `{"accepted": BOOL, "log": TEXT}`.
//!
//! | field | also called | |
//! |---|---|---|
//! | `type` | `prog_type`, `section` | what a section may be called, or the name of a type; `syscall:16` has 16 bytes of memory |
//! | `program` | `insns` | hexadecimal digits; blanks between them do not count |
//! | `maps` | | `{"type", "key_size", "value_size", "max_entries"}`, and if there are any `name`, `fd`, `flags`, `spin_lock` and `timer` (offsets in the value), `data` (of a constant array of one element, hexadecimal), `inner` (a map) |
//!
//! A program names its first map by file descriptor 0 or number 0, the next by 1, unless `fd` says otherwise. A case that
//! cannot be read is one that is not accepted.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::initramfs::GuestFile;
use crate::machine::Machine;
use crate::run::{self, Folder, Streams};

/// Where the cases lie in the guest.
const CASES: &str = "bpf-cases";
/// How the guest's answers begin; what goes on in the next line is indented by `MORE`.
const ACCEPTED: &str = "accepted: ";
const REFUSED: &str = "refused: ";
const MORE: &str = "  ";

/// Verifies a batch, prints the answers.
///
/// # Errors
/// What cannot be read; a guest that does not answer.
pub fn run(machine: &Machine, batch: &Path) -> Result<u8> {
    let text = std::fs::read(batch).with_context(|| format!("could not read {}", batch.display()))?;
    let list: Value = serde_json::from_slice(&text).context("the batch is no JSON")?;
    let list = list.as_array().context("the batch is no list")?;
    let lines: Vec<Result<String>> = list.iter().map(line).collect();
    let sent: Vec<&str> = lines.iter().flatten().map(String::as_str).collect();
    let mut answered = answers(machine, &sent)?.into_iter();
    let mut all = Vec::new();
    for line in &lines {
        all.push(match line {
            Ok(_) => answered.next().context("the guest does not answer each case")?,
            Err(why) => json!({ "accepted": false, "log": format!("{why:#}") }),
        });
    }
    println!("{}", Value::Array(all));
    Ok(0)
}

/// The first of some fields that is there.
fn field<'a>(case: &'a Value, names: &[&str]) -> Option<&'a Value> {
    names.iter().filter_map(|name| case.get(name)).find(|value| !value.is_null())
}

fn text<'a>(case: &'a Value, names: &[&str]) -> Result<Option<&'a str>> {
    match field(case, names) {
        None => Ok(None),
        Some(value) => Ok(Some(value.as_str().with_context(|| format!("{:?} is no text", names[0]))?)),
    }
}

/// A word of a line: no blanks, and nothing that means something else there.
fn word<'a>(what: &str, text: &'a str) -> Result<&'a str> {
    let plain = |c: char| c.is_ascii_graphic() && c != '=';
    if text.is_empty() || !text.chars().all(plain) {
        bail!("{what} {text:?} cannot be used");
    }
    Ok(text)
}

/// A case as a line.
fn line(case: &Value) -> Result<String> {
    let kind = text(case, &["type", "prog_type", "section"])?.context("there is no type")?;
    let program = text(case, &["program", "insns"])?.context("there is no program")?;
    let program: String = program.split_ascii_whitespace().collect();
    if program.is_empty() || !program.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        bail!("a program is hexadecimal digits");
    }
    let mut line = format!("{} {program}", word("the type", kind)?);
    let maps = match field(case, &["maps"]) {
        None => &[][..],
        Some(maps) => maps.as_array().context("\"maps\" is no list")?,
    };
    for map in maps {
        line.push(' ');
        line.push_str(&map_word(map, ':')?);
    }
    Ok(line)
}

/// A map as a word.
fn map_word(map: &Value, between: char) -> Result<String> {
    let kind = match field(map, &["type", "map_type", "kind"]).context("a map has no type")? {
        Value::String(name) => word("the type of a map", name)?.to_owned(),
        number => number.as_u64().context("the type of a map is no name and no number")?.to_string(),
    };
    let number = |names: &[&str]| -> Result<Option<u64>> {
        let value = |value: &Value| value.as_u64().with_context(|| format!("{:?} is no number", names[0]));
        field(map, names).map(value).transpose()
    };
    let size = |names: &[&str]| number(names).map(Option::unwrap_or_default);
    let mut all = vec![
        kind,
        size(&["key_size", "key"])?.to_string(),
        size(&["value_size", "value"])?.to_string(),
        size(&["max_entries", "entries"])?.to_string(),
    ];
    if let Some(name) = text(map, &["name"])? {
        all.push(format!("name={}", word("the name of a map", name)?));
    }
    for (option, names) in [
        ("fd", &["fd"][..]),
        ("flags", &["flags", "map_flags"]),
        ("lock", &["spin_lock"]),
        ("timer", &["timer"]),
    ] {
        if let Some(value) = number(names)? {
            all.push(format!("{option}={value}"));
        }
    }
    if let Some(data) = text(map, &["data"])? {
        all.push(format!("data={}", word("the data of a map", data)?));
    }
    if let Some(inner) = field(map, &["inner", "inner_map"]) {
        all.push(format!("inner={}", map_word(inner, '.')?));
    }
    Ok(all.join(&between.to_string()))
}

/// What the guest answers to each case.
fn answers(machine: &Machine, cases: &[&str]) -> Result<Vec<Value>> {
    if cases.is_empty() {
        return Ok(Vec::new());
    }
    let folder = Folder::new()?;
    let host = folder.path.join(CASES);
    std::fs::write(&host, cases.join("\n")).context("could not write the cases")?;
    let built = machine.kernel(&folder.path)?;
    let mut machine = machine.clone();
    machine.files.push(GuestFile { host, guest: CASES.into() });
    let script = format!("bpf verify /{CASES} 2>&1\n");
    let outcome = run::script(&built, &machine, script.as_bytes(), Streams::Collect)?;
    let text = String::from_utf8_lossy(&outcome.stdout);
    let answers = read_answers(&text)?;
    if answers.len() != cases.len() {
        bail!("the guest does not answer each case: {}", text.trim_end());
    }
    Ok(answers)
}

fn read_answers(text: &str) -> Result<Vec<Value>> {
    let mut answers: Vec<(bool, String)> = Vec::new();
    for line in text.lines() {
        if let Some(log) = line.strip_prefix(ACCEPTED) {
            answers.push((true, log.into()));
        } else if let Some(log) = line.strip_prefix(REFUSED) {
            answers.push((false, log.into()));
        } else if let (Some(more), Some((_, log))) = (line.strip_prefix(MORE), answers.last_mut()) {
            log.push('\n');
            log.push_str(more);
        } else {
            bail!("the guest answers {line:?}");
        }
    }
    Ok(answers.into_iter().map(|(accepted, log)| json!({ "accepted": accepted, "log": log })).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_become_lines() {
        let map = json!({"type": "hash", "key_size": 8, "value_size": 16, "max_entries": 4, "name": "m", "fd": 3, "spin_lock": 0});
        let outer =
            json!({"map_type": 12, "key_size": 4, "value_size": 4, "max_entries": 2, "inner_map": map});
        for (case, expected) in [
            (json!({"type": "kprobe", "program": "95 00\n"}), "kprobe 9500"),
            (json!({"prog_type": "tp/a/b", "insns": "95", "maps": null}), "tp/a/b 95"),
            (json!({"type": "xdp", "insns": "95", "maps": [map]}), "xdp 95 hash:8:16:4:name=m:fd=3:lock=0"),
            (
                json!({"type": "kprobe", "insns": "95", "maps": [outer]}),
                "kprobe 95 12:4:4:2:inner=hash.8.16.4.name=m.fd=3.lock=0",
            ),
        ] {
            assert_eq!(line(&case).unwrap(), expected);
        }
        for wrong in [
            json!(1),
            json!({}),
            json!({"type": "kprobe"}),
            json!({"type": "kprobe", "program": ""}),
            json!({"type": "kprobe", "program": "9x"}),
            json!({"type": "kprobe -- exit", "program": "95"}),
            json!({"type": "kprobe", "program": "95", "maps": 5}),
            json!({"type": "kprobe", "program": "95", "maps": [{}]}),
            json!({"type": "kprobe", "program": "95", "maps": [{"type": "hash", "key_size": "x"}]}),
        ] {
            assert!(line(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn answers_are_read() {
        let text =
            "accepted: processed 2 insns\nrefused: insn 0: R0 !read_ok\n  hint: write it\nrefused: no\n";
        let answers = read_answers(text).unwrap();
        assert_eq!(
            Value::Array(answers),
            json!([
                {"accepted": true, "log": "processed 2 insns"},
                {"accepted": false, "log": "insn 0: R0 !read_ok\nhint: write it"},
                {"accepted": false, "log": "no"}
            ])
        );
        assert!(read_answers("bpf: no such file\n").is_err());
        assert!(read_answers("  more\n").is_err());
    }
}
