//! `cargo xtask flame`: a recorded graph as a flame chart.
//!
//! What `function_graph` records is a tree of calls with times. This reads its text, from a file or from a guest that it boots
//! for it, and draws each call as a bar: as wide as it took long, on top of the call that made it, in the order in which
//! they were made. It is a chart, not a statistic: two calls of one function are two bars.
//!
//! ```text
//!   0)               |  outer() {            ┌───────┐
//!   0)   0.896 us    |    leaf();       ──▶  │ leaf  │
//!   0)   2.864 us    |  }                    ├───────┴────────────────┐
//!                                            │ outer                  │   its own time is at its right
//!                                            └────────────────────────┘
//! ```
//!
//! The text says when a call ended only by how long it took, so what a call spent between the calls that it made is drawn
//! behind the last of them. Records of one task on one CPU belong together; those of another begin a chart below.

mod svg;
mod text;

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::machine::Machine;
use crate::run::{self, End, Folder, Streams};

/// A call that has returned.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function, with what options put behind it.
    pub name: String,
    /// How long it took.
    pub ns: u64,
    /// The calls that it made, in order.
    pub calls: Vec<Call>,
}

/// The calls of one task on one CPU, as they stood together.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Lane {
    /// Which CPU, and which task where the text says so.
    pub name: String,
    /// The outermost calls.
    pub calls: Vec<Call>,
}

/// Says where to begin and where to end in a guest: everything that `commands` call in functions that match `root`.
fn script(root: &str, commands: &str) -> String {
    format!(
        "cd /sys/kernel/tracing\necho '{root}' > set_graph_function\necho function_graph > current_tracer\n\
         {commands}\necho 0 > tracing_on\ncat trace\n"
    )
}

/// What is drawn if nothing else is asked for: a line becomes a probe.
const ROOT: &str = "fs::textfs::lines::run";
const COMMANDS: &str = "echo 'p:first work_add a=$arg1' > kprobe_events";

/// What to draw.
#[derive(Debug, Default)]
pub struct Wanted<'a> {
    /// A file with the text of a trace; `-` is standard input. Without one a guest is asked.
    pub trace: Option<&'a Path>,
    /// The functions to begin at, a glob.
    pub root: Option<&'a str>,
    /// What the guest does.
    pub commands: Option<&'a str>,
}

/// Draws into `out`.
pub fn run(machine: &Machine, wanted: &Wanted<'_>, out: &Path) -> Result<u8> {
    let text = match wanted.trace {
        Some(path) if path == Path::new("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("could not read standard input")?;
            text
        }
        Some(path) => {
            std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?
        }
        None => record(machine, wanted.root.unwrap_or(ROOT), wanted.commands.unwrap_or(COMMANDS))?,
    };
    let lanes = text::lanes(&text)?;
    ensure!(lanes.iter().any(|lane| !lane.calls.is_empty()), "no call that has returned is in this trace");
    std::fs::write(out, svg::chart(&lanes)).with_context(|| format!("could not write {}", out.display()))?;
    let calls: usize = lanes.iter().map(|lane| count(&lane.calls)).sum();
    println!("{}: {calls} calls", out.display());
    Ok(0)
}

/// Has a guest record a graph. It counts instructions instead of time, so that the same build draws the same picture.
fn record(machine: &Machine, root: &str, commands: &str) -> Result<String> {
    ensure!(!root.contains(['\'', '\n']), "not a glob of functions");
    let machine = Machine { smp: Some(machine.smp.unwrap_or(1)), icount: true, ..machine.clone() };
    let folder = Folder::new()?;
    let built = machine.kernel(&folder.path)?;
    let outcome = run::script(&built, &machine, script(root, commands).as_bytes(), Streams::Collect)?;
    ensure!(outcome.end == End::Status(0), "the guest did not come to its end:\n{}", outcome.console);
    Ok(String::from_utf8_lossy(&outcome.stdout).into_owned())
}

fn count(calls: &[Call]) -> usize {
    calls.iter().map(|call| 1 + count(&call.calls)).sum()
}
