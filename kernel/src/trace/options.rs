//! `trace_options` and `options/`: how records are shown, and a little of how they are made.
//!
//! A write to `trace_options` is a name, or `no` and a name; a file of `options/` is a switch. Only options that do
//! something are here: what belongs to tracers that there are not yet is refused like any other unknown name. Tracers have options
//! of their own: see [`tracers`].

use core::sync::atomic::{AtomicU32, Ordering};

use tracecore::errno::Errno;
use tracecore::ring::Mode;
use tracecore::text::{Form, Style};

use super::{clock, pids, rings, tracers};
use crate::fs::textfs::{Text, value};
use crate::fs::tracefs;
use crate::task::Mutex;

/// An option, by its place in [`OPTIONS`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Opt {
    /// `sym-offset`: the place in a writer with its offset.
    SymOffset,
    /// `sym-addr`: its address too.
    SymAddr,
    /// `raw`: numbers.
    Raw,
    /// `hex`: numbers in hexadecimal.
    Hex,
    /// `bin`: numbers as bytes.
    Bin,
    /// `fields`: fields by name.
    Fields,
    /// `annotate`: a line where the records of a CPU begin whose older ones are lost.
    Annotate,
    /// `printk-msg-only`: texts of `trace_marker` alone.
    PrintsOnly,
    /// `context-info`: the columns before the text.
    Context,
    /// `record-cmd`: names of tasks are remembered.
    RecordCmd,
    /// `overwrite`: full rings lose their oldest records, else the newest.
    Overwrite,
    /// `irq-info`: the five letters.
    Irqs,
    /// `markers`: `trace_marker` records.
    Markers,
    /// `event-fork`: `set_event_pid` follows children.
    EventFork,
    /// `function-fork`: `set_ftrace_pid` follows children.
    FunctionFork,
    /// `pause-on-trace`: nothing is recorded while `trace` is open.
    PauseOnTrace,
}

/// Names, in Linux's order, and which are on at boot.
const OPTIONS: [(&str, Opt, bool); 16] = [
    ("sym-offset", Opt::SymOffset, false),
    ("sym-addr", Opt::SymAddr, false),
    ("raw", Opt::Raw, false),
    ("hex", Opt::Hex, false),
    ("bin", Opt::Bin, false),
    ("fields", Opt::Fields, false),
    ("annotate", Opt::Annotate, true),
    ("printk-msg-only", Opt::PrintsOnly, false),
    ("context-info", Opt::Context, true),
    ("record-cmd", Opt::RecordCmd, true),
    ("overwrite", Opt::Overwrite, true),
    ("irq-info", Opt::Irqs, true),
    ("markers", Opt::Markers, true),
    ("event-fork", Opt::EventFork, false),
    ("pause-on-trace", Opt::PauseOnTrace, false),
    ("function-fork", Opt::FunctionFork, false),
];

impl Opt {
    const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Is it on?
    pub(super) fn is_on(self) -> bool {
        CHOSEN.load(Ordering::Relaxed) & self.bit() != 0
    }

    fn set(self, on: bool) -> Result<(), Errno> {
        let _changing = CHANGING.lock();
        match self {
            Self::Overwrite => rings::set_mode(if on { Mode::Overwrite } else { Mode::DiscardNewest }),
            Self::EventFork => pids::EVENTS.follow_forks(on)?,
            Self::FunctionFork => pids::FUNCTIONS.follow_forks(on)?,
            _ => {}
        }
        if on {
            CHOSEN.fetch_or(self.bit(), Ordering::Relaxed);
        } else {
            CHOSEN.fetch_and(!self.bit(), Ordering::Relaxed);
        }
        Ok(())
    }
}

const fn at_boot() -> u32 {
    let (mut bits, mut i) = (0, 0);
    while i < OPTIONS.len() {
        if OPTIONS[i].2 {
            bits |= OPTIONS[i].1.bit();
        }
        i += 1;
    }
    bits
}

static CHOSEN: AtomicU32 = AtomicU32::new(at_boot());
static CHANGING: Mutex<()> = Mutex::new(());

/// How records are to be shown.
pub(super) fn style() -> Style {
    // Linux looks for them in this order.
    let forms =
        [(Opt::Bin, Form::Binary), (Opt::Hex, Form::Hex), (Opt::Raw, Form::Raw), (Opt::Fields, Form::Fields)];
    Style {
        times: clock::times(),
        form: forms.iter().find(|(opt, _)| opt.is_on()).map_or(Form::Sentence, |(_, form)| *form),
        context: Opt::Context.is_on(),
        irqs: Opt::Irqs.is_on(),
        prints_only: Opt::PrintsOnly.is_on(),
        symbol_offset: Opt::SymOffset.is_on(),
        symbol_address: Opt::SymAddr.is_on(),
        since: None,
    }
}

/// The longest name that is taken, as on Linux.
const MAX_NAME: usize = 63;

pub(super) fn init() {
    let root = tracefs::tracefs();
    root.file(
        "trace_options",
        Text::new(0o640)
            .show(|out| {
                let general = OPTIONS.iter().map(|(name, opt, _)| (*name, opt.is_on()));
                let own = tracers::current_options().iter().map(|option| (option.name, option.is_on()));
                general
                    .chain(own)
                    .try_for_each(|(name, on)| writeln!(out, "{}{name}", if on { "" } else { "no" }))
                    .map_err(|_| Errno::ENOMEM)
            })
            .write(|data| {
                let word = value::short_word(data, MAX_NAME)?;
                set_by_name(word)?;
                Ok(data.len())
            }),
    );
    let dir = root.dir("options", 0o750);
    for (name, opt, _) in OPTIONS {
        dir.file(name, switch(move || opt.is_on(), move |on| opt.set(on)));
    }
    for option in tracers::all_options() {
        dir.file(option.name, switch(|| option.is_on(), |on| option.set(on)));
    }
}

/// Switches an option on by its name, or off by `no` and its name.
///
/// # Errors
/// EINVAL when neither the current tracer nor anybody else has it.
pub(super) fn set_by_name(word: &str) -> Result<(), Errno> {
    let done = set(word, true).or_else(|| set(word.strip_prefix("no")?, false));
    done.unwrap_or(Err(Errno::EINVAL))
}

/// Switches the option of this name, if there is one: of all records, or of the current tracer.
fn set(name: &str, on: bool) -> Option<Result<(), Errno>> {
    if let Some((_, opt, _)) = OPTIONS.iter().find(|(known, ..)| *known == name) {
        return Some(opt.set(on));
    }
    tracers::current_options().iter().find(|option| option.name == name).map(|option| option.set(on))
}

/// The file of an option.
fn switch(
    is_on: impl Fn() -> bool + Send + Sync + 'static,
    set: impl Fn(bool) -> Result<(), Errno> + Send + Sync + 'static,
) -> Text {
    Text::new(0o640).show(move |out| writeln!(out, "{}", u8::from(is_on())).map_err(|_| Errno::ENOMEM)).write(
        move |data| {
            match value::number(data)? {
                0 => set(false)?,
                1 => set(true)?,
                _ => return Err(Errno::EINVAL),
            }
            Ok(data.len())
        },
    )
}
