//! `cargo xtask`: build, run, test, measure and check Trapline.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use xtask::machine::Machine;
use xtask::run::{self, End, Folder, Streams};
use xtask::{build, check, commands, profile, tools};

/// The status when a tool is missing.
const STATUS_MISSING_TOOL: u8 = 2;

/// Build, run, test, measure and check Trapline
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build the kernel and print where its image lies
    Build,
    /// Build, boot and give the guest's console; with standard input not a terminal, run its lines
    Qemu {
        #[command(flatten)]
        machine: Machine,
        /// Run the lines of this file (`-`: standard input), then power off
        #[arg(long, value_name = "FILE")]
        script: Option<PathBuf>,
    },
    /// Run every test: host, in-kernel, cases, the documentation's transcripts
    Test {
        /// Only tests whose name contains this
        filter: Option<String>,
    },
    /// Measure guest instructions per operation
    Bench {
        #[command(flatten)]
        machine: Machine,
        /// Only rows whose name contains this
        filter: Option<String>,
        /// Write the rows into this file too, one JSON object a line
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Draw a recorded graph of functions as a flame chart
    Flame {
        #[command(flatten)]
        machine: Machine,
        /// The text of a trace; - is standard input. Without it a guest records one
        #[arg(long, value_name = "FILE")]
        trace: Option<PathBuf>,
        /// In the guest: the functions to begin at
        #[arg(long, value_name = "GLOB", conflicts_with = "trace")]
        root: Option<String>,
        /// In the guest: what to do meanwhile
        #[arg(long, conflicts_with = "trace")]
        commands: Option<String>,
        /// Where to
        #[arg(value_name = "SVG")]
        out: PathBuf,
    },
    /// Run BPF bytecode in the guest: hexadecimal digits on standard input; prints r0
    BpfExec {
        #[command(flatten)]
        machine: Machine,
        /// Memory that r1 points to and r2 is the length of, as hexadecimal digits
        #[arg(conflicts_with = "batch")]
        memory: Option<String>,
        /// Run the cases of this file, a JSON list of {"program", "memory"}; prints a JSON list
        #[arg(long, value_name = "FILE")]
        batch: Option<PathBuf>,
        /// Spare the programs the analysis of their paths; every access is checked when it is made
        #[arg(long)]
        unverified: bool,
        /// Compile them; otherwise they are interpreted
        #[arg(long)]
        jit: bool,
    },
    /// Ask the guest's verifier about BPF programs
    BpfVerify {
        #[command(flatten)]
        machine: Machine,
        /// The cases, a JSON list of {"type", "program", "maps"}; prints a JSON list of {"accepted", "log"}
        #[arg(long, value_name = "FILE")]
        batch: PathBuf,
    },
    /// Make the objects of the BPF tools anew, where clang is at hand
    Tools,
    /// Boot halted and attach gdb
    Gdb {
        #[command(flatten)]
        machine: Machine,
    },
    /// Check format, lints, documentation, floors, the no-trace wall and the image's size
    Check,
    /// Say where the instructions of a benchmark row go, function by function
    Profile {
        #[command(flatten)]
        machine: Machine,
        /// Its name, as `cargo xtask bench` prints it
        row: String,
        /// List every executed instruction too
        #[arg(long)]
        listing: bool,
    },
}

fn main() -> ExitCode {
    match dispatch(Arguments::parse().command) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("error: {error:#}");
            let missing = error.downcast_ref::<tools::MissingTool>().is_some();
            ExitCode::from(if missing { STATUS_MISSING_TOOL } else { 1 })
        }
    }
}

fn dispatch(verb: Verb) -> Result<u8> {
    match verb {
        Verb::Build => {
            let built = build::kernel()?;
            println!("{}", built.image.display());
            Ok(0)
        }
        Verb::Qemu { machine, script } => qemu(&machine, script),
        Verb::Test { filter } => commands::test::run(filter.as_deref()),
        Verb::Bench { machine, filter, json } => {
            commands::bench::run(&machine, filter.as_deref(), json.as_deref())
        }
        Verb::Flame { machine, trace, root, commands, out } => {
            let wanted = commands::flame::Wanted {
                trace: trace.as_deref(),
                root: root.as_deref(),
                commands: commands.as_deref(),
            };
            commands::flame::run(&machine, &wanted, &out)
        }
        Verb::BpfExec { machine, memory, batch, unverified, jit } => {
            let how = commands::bpf_exec::How { unverified, jit };
            commands::bpf_exec::run(&machine, batch.as_deref(), memory.as_deref(), how)
        }
        Verb::BpfVerify { machine, batch } => commands::bpf_verify::run(&machine, &batch),
        Verb::Tools => commands::tools::run(),
        Verb::Gdb { machine } => commands::gdb::run(&machine),
        Verb::Check => check::run(),
        Verb::Profile { machine, row, listing } => {
            print!("{}", profile::profile(&machine, &row, listing)?);
            Ok(0)
        }
    }
}

/// Boots, for a person or for a script.
fn qemu(machine: &Machine, script: Option<PathBuf>) -> Result<u8> {
    let folder = Folder::new()?;
    let built = machine.kernel(&folder.path)?;
    let interactive = script.is_none() && run::on_terminal();
    if interactive {
        return report(run::interactive(&built, machine)?, machine);
    }
    let mut lines = match &script {
        Some(path) if path.as_os_str() != "-" => {
            std::fs::read(path).with_context(|| format!("could not read {}", path.display()))?
        }
        _ => match read_stdin(machine.timeout.unwrap_or(run::SCRIPT_TIMEOUT))? {
            Some(lines) => lines,
            None => {
                eprintln!("xtask: standard input did not end in time");
                return Ok(run::STATUS_TIMEOUT);
            }
        },
    };
    if script.is_none() && lines.trim_ascii().is_empty() {
        // Nothing to run, as in `cargo xtask qemu < /dev/null`: show what there is.
        lines = b"tour\n".into();
    }
    let outcome = run::script(&built, machine, &lines, Streams::PassOn)?;
    std::io::stdout().flush().context("could not write")?;
    report(outcome.end, machine)
}

/// All of standard input; `None` when it has no end within `limit`, as a pipe that somebody holds open.
fn read_stdin(limit: Duration) -> Result<Option<Vec<u8>>> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = Vec::new();
        let read = std::io::stdin().read_to_end(&mut lines);
        // Nobody listens any more when it took too long.
        let _ = send.send(read.map(|_| lines));
    });
    match receive.recv_timeout(limit) {
        Ok(read) => read.map(Some).context("could not read the script from standard input"),
        Err(_) => Ok(None),
    }
}

/// Says why a run ended, where the guest could not.
fn report(end: End, machine: &Machine) -> Result<u8> {
    match end {
        End::Status(_) => {}
        End::Timeout => {
            let limit = machine.timeout.unwrap_or(run::SCRIPT_TIMEOUT);
            eprintln!("xtask: the guest did not end within {} s", limit.as_secs_f64());
        }
        End::Silence => eprintln!("xtask: the guest printed nothing more"),
        End::Flood | End::Killed => eprintln!("xtask: QEMU was ended by a signal"),
    }
    Ok(end.status())
}
