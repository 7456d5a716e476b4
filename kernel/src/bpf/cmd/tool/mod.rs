//! `bpf tool`: the programs under `/tools`, each with what it prints in the end.
//!
//! ```text
//!   bpf tool                                       which there are
//!   bpf tool funclatency work_add                  until Ctrl-C, or for a time (-d SECONDS), or while a command runs (-c COMMAND)
//!
//!   /tools/NAME.s ─▶ loaded ─▶ attached to TARGET ─ … ─▶ detached ─▶ its maps as text ─▶ gone
//! ```
//!
//! A tool is a text that anybody could load with `bpf prog loadall`; here stands only how its maps are read. What it attaches is held
//! by this command alone: however it ends, everything is detached. The maps are read when no program changes them any more.

mod report;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use ::bpf::kind::{Attach, Section};
use ::bpf::object::Object;
use sh::{Ctx, Shell};

use self::report::{At, Column, Shows, What};
use super::prog as programs;
use crate::bpf::attach::Wanted;
use crate::bpf::link::{self, Link};
use crate::bpf::load;
use crate::bpf::maps;
use crate::bpf::prog::Prog;
use crate::time::{NS_PER_MS, NS_PER_S};

/// The words behind `bpf tool`.
pub(super) const USAGE: &str = "[NAME [TARGET] [-d SECONDS | -c COMMAND]]";

/// Where the tools lie.
const FOLDER: &str = "/tools";
/// How often a stream is read.
const PAUSE_NS: u64 = 20 * NS_PER_MS;

/// A tool.
struct Tool {
    name: &'static str,
    /// What it answers.
    about: &'static str,
    shows: &'static [Shows],
}

/// How often and how long: the columns behind the first.
const TIMES: [Column; 3] = [
    Column { title: "COUNT", at: At::Value(0), bytes: 8, what: What::Number },
    Column { title: "AVG(ns)", at: At::Value(8), bytes: 8, what: What::PerCount },
    Column { title: "TOTAL(ns)", at: At::Value(8), bytes: 8, what: What::Number },
];

const TOOLS: &[Tool] = &[
    Tool {
        name: "allocsize",
        about: "how large are the blocks that the heap is asked for",
        shows: &[Shows::Histogram { map: "histogram", unit: "bytes" }],
    },
    Tool {
        name: "argfilter",
        about: "which calls have an argument that is long enough",
        shows: &[Shows::Printed, Shows::Data { what: "passed by" }],
    },
    Tool {
        name: "entrycount",
        about: "how often is each of many functions entered, by task",
        shows: &[Shows::Table {
            map: "counts",
            columns: &[
                Column { title: "FUNC", at: At::Key(0), bytes: 8, what: What::Function },
                Column { title: "TASK", at: At::Key(8), bytes: 8, what: What::Number },
                Column { title: "COUNT", at: At::Value(0), bytes: 8, what: What::Number },
            ],
        }],
    },
    Tool {
        name: "funclatency",
        about: "how long does a function take",
        shows: &[Shows::Histogram { map: "histogram", unit: "nsecs" }],
    },
    Tool {
        name: "lifestream",
        about: "tasks that begin and end, as it happens",
        shows: &[Shows::Lives { map: "lives" }, Shows::Data { what: "lost" }],
    },
    Tool {
        name: "lockstat",
        about: "which locks are waited for, how often and for how long",
        shows: &[Shows::Table {
            map: "locks",
            columns: &[
                Column { title: "LOCK", at: At::Key(0), bytes: 8, what: What::Symbol },
                TIMES[0],
                TIMES[1],
                TIMES[2],
            ],
        }],
    },
    Tool {
        name: "multilatency",
        about: "how long does each of many functions take",
        shows: &[Shows::Table {
            map: "spent",
            columns: &[
                Column { title: "FUNC", at: At::Key(0), bytes: 8, what: What::Function },
                TIMES[0],
                TIMES[1],
                TIMES[2],
            ],
        }],
    },
    Tool {
        name: "offcpu",
        about: "how long do tasks not run",
        shows: &[Shows::Table {
            map: "off",
            columns: &[
                Column { title: "TASK", at: At::Key(0), bytes: 4, what: What::Number },
                Column { title: "COMM", at: At::Key(0), bytes: 4, what: What::Task },
                Column { title: "OFF(ns)", at: At::Value(0), bytes: 8, what: What::Number },
            ],
        }],
    },
    Tool {
        name: "runqlat",
        about: "how long do tasks that could run wait for a CPU",
        shows: &[Shows::Histogram { map: "histogram", unit: "nsecs" }],
    },
    Tool {
        name: "stackcount",
        about: "how often is a function called, and from where",
        shows: &[Shows::Stacks { counts: "counts", stacks: "stacks" }],
    },
];

/// How long a tool runs.
enum Until<'a> {
    /// Ctrl-C.
    Stopped,
    Seconds(u64),
    /// This line has ended.
    Command(&'a str),
}

/// What is asked for.
struct Asked<'a> {
    tool: &'static Tool,
    target: Option<&'a str>,
    until: Until<'a>,
}

fn asked<'a>(args: &[&'a str]) -> Result<Asked<'a>, String> {
    let (name, mut rest) = args.split_first().ok_or("expected the name of a tool")?;
    let tool = TOOLS.iter().find(|tool| tool.name == *name);
    let tool = tool.ok_or_else(|| format!("no tool {name}: `bpf tool` lists them"))?;
    let mut target = None;
    if let [first, others @ ..] = rest
        && !first.starts_with('-')
    {
        (target, rest) = (Some(*first), others);
    }
    let until = match rest {
        [] => Until::Stopped,
        ["-c", command] => Until::Command(command),
        ["-d", seconds] => {
            let seconds = seconds.parse().ok().filter(|seconds| *seconds <= u64::from(u32::MAX));
            Until::Seconds(seconds.ok_or("expected a number of seconds behind -d")?)
        }
        _ => return Err(format!("usage: bpf tool {USAGE}")),
    };
    Ok(Asked { tool, target, until })
}

/// Has the programs at functions go to another target. Those at tracepoints are where they are.
fn aim(object: &mut Object, target: &str) -> Result<(), String> {
    let mut aimed = false;
    for program in &mut object.programs {
        let attach = Section::parse(&program.section).map(|section| section.attach);
        if let Some(
            attach @ (Attach::Kprobe | Attach::Kretprobe | Attach::KprobeMulti | Attach::KretprobeMulti),
        ) = attach
        {
            program.section = format!("{}/{target}", attach.name());
            aimed = true;
        }
    }
    if aimed { Ok(()) } else { Err("this one takes no target: it listens to tracepoints".to_string()) }
}

/// A tool at work.
struct Running {
    links: Vec<Arc<Link>>,
    progs: Vec<Arc<Prog>>,
}

impl Running {
    fn start(object: &Object) -> Result<Self, String> {
        let loaded = load::load(object, object.programs.len())
            .map_err(|why| format!("{}{}", why.log, why.errno.strerror()))?;
        let mut links = Vec::new();
        for prog in &loaded.progs {
            let section = &prog.parts().section;
            let target = Section::parse(section).map_or("", |section| section.target);
            let link = link::create(prog, Wanted { target, cookies: &[] });
            links.push(link.map_err(|why| format!("cannot attach to '{section}': {why}"))?);
        }
        Ok(Self { links, progs: loaded.progs })
    }

    /// Its map of a name, or the one whose name ends so.
    fn map(&self, name: &str) -> Option<&Arc<maps::Entry>> {
        self.progs.iter().flat_map(|prog| &prog.parts().maps).find(|map| map.def().name.ends_with(name))
    }

    /// Runs until it is to end, and prints what comes meanwhile.
    fn watch(&self, ctx: &mut Ctx, tool: &Tool, until: &Until<'_>) -> i32 {
        let streams = |ctx: &mut Ctx| tool.shows.iter().for_each(|shows| report::stream(ctx, self, shows));
        let status = match until {
            Until::Command(line) => match Shell::nested(ctx) {
                Ok(mut shell) => {
                    ctx.flush();
                    shell.run_text(line)
                }
                Err(errno) => {
                    ctx.fail("-c", errno);
                    1
                }
            },
            Until::Stopped => {
                while ctx.sleep_ns(PAUSE_NS) {
                    streams(ctx);
                }
                0
            }
            Until::Seconds(seconds) => {
                let turns = seconds.saturating_mul(NS_PER_S) / PAUSE_NS;
                for _ in 0..turns {
                    if !ctx.sleep_ns(PAUSE_NS) {
                        break;
                    }
                    streams(ctx);
                }
                0
            }
        };
        streams(ctx);
        status
    }
}

/// `bpf tool …`.
pub(super) fn main(ctx: &mut Ctx, args: &[&str]) -> i32 {
    if args.is_empty() {
        for tool in TOOLS {
            ctx.print(&format!("{:<13} {}\n", tool.name, tool.about));
        }
        return 0;
    }
    match run(ctx, args) {
        Ok(status) => status,
        Err(why) => {
            ctx.complain(format_args!("tool: {}", why.trim_end()));
            1
        }
    }
}

fn run(ctx: &mut Ctx, args: &[&str]) -> Result<i32, String> {
    let asked = asked(args)?;
    let file = format!("{FOLDER}/{}.s", asked.tool.name);
    let mut object = match programs::open(ctx, &file, asked.tool.name) {
        Ok(object) => object,
        Err(failure) => return Ok(failure.tell(ctx)),
    };
    if let Some(target) = asked.target {
        aim(&mut object, target)?;
    }
    let mut running = Running::start(&object)?;
    ctx.eprint(&format!(
        "{}: {}{}\n",
        asked.tool.name,
        asked.tool.about,
        if matches!(asked.until, Until::Stopped) { "... Hit Ctrl-C to end." } else { "" }
    ));
    let status = running.watch(ctx, asked.tool, &asked.until);
    // Nothing changes the maps from here on, and Ctrl-C is how one asks for them.
    running.links.clear();
    ctx.catch_interrupt();
    for shows in asked.tool.shows {
        report::print(ctx, &running, shows);
    }
    ctx.flush();
    Ok(status)
}
