//! Programs with a function's typed arguments: `fentry`, `fexit`, `fmod_ret`.
//!
//! ```text
//!   function's branch ─▶ trampoline (made for it) ─▶ enter: fentry programs, fmod_ret programs
//!                                │                        └─ one has given a result: the function is not called
//!                                ├─▶ the function         (only if somebody wants to see its return)
//!                                └─▶ leave: fexit programs, with the arguments and the result
//! ```
//!
//! A trampoline saves what a call hands over, once, and that is what the programs have for their context: x0, x1, … as far as
//! the type table says that there are arguments in them. So the way is short: no ops, no hook, no shadow stack.
//! A function can have one direct call (`ftrace::direct`); all programs of a function share it, each kind in the order in which it
//! was attached.
//!
//! | form | when |
//! |---|---|
//! | entry alone: it branches on to the function | there are `fentry` programs and no others |
//! | around the call: it calls the function | somebody wants to see the return, or to give it |
//!
//! A function that may have arguments on the stack, which is one that has eight in registers, is called with a copy of
//! what lies there. `fmod_ret` is for functions that are made to be tried: those whose names begin with [`MODIFIABLE`].
//!
//! | file | what |
//! |---|---|
//! | `code` | the words of a trampoline |
//! | `hit` | what it calls |
//! | `retire` | when its memory can be given back |

mod code;
mod hit;
mod retire;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use ::bpf::kind::Attach;
use tracecore::errno::Errno;
use tracecore::misses::Cause;

use super::context::{self, registers_of};
use super::{Attachment, Hooked, Refused, Wanted, target};
use crate::bpf::prog::Prog;
use crate::ftrace::direct::{self, Direct, Trampoline};
use crate::ftrace::{Ops, SiteSet, site_of};
use crate::ktypes;
use crate::sync::quiesce;
use crate::task::Mutex;
use crate::text::programs::Code;
use code::{Calls, Form};
use hit::{Lists, Target};

/// How the names of functions begin that may be replaced by a result.
const MODIFIABLE: &str = "work_";
/// Registers of arguments.
const ARGUMENT_REGS: usize = 8;

/// A function that has or had programs. It is known for ever, for calls that are on their way may name what it has.
struct Function {
    ops: &'static Ops,
    target: &'static Target,
    lists: Lists,
    live: Option<Live>,
}

/// Its trampoline, while it has one.
struct Live {
    direct: Direct,
    code: Code,
    form: Form,
}

static FUNCTIONS: Mutex<BTreeMap<usize, Function>> = Mutex::new(BTreeMap::new());

/// How many trampolines are no longer used, but a task may be inside.
pub(super) fn waiting() -> usize {
    retire::waiting()
}

impl Function {
    fn new(function: usize, args: usize) -> Self {
        let ops: &'static Ops = Box::leak(Box::new(Ops::direct("bpf_trampoline")));
        let target: &'static Target = Box::leak(Box::new(Target::new(function as u64, args)));
        Self { ops, target, lists: Lists::default(), live: None }
    }

    /// The form that it needs.
    fn form(&self) -> Option<Form> {
        match (self.lists.is_empty(), self.lists.modify.is_empty() && self.lists.exit.is_empty()) {
            (true, _) => None,
            (false, true) => Some(Form::Entry),
            (false, false) => Some(Form::Around),
        }
    }

    fn make(&self, form: Form) -> Result<Code, Errno> {
        let function = self.target.function as usize;
        let mut code = Code::take(code::MAX_WORDS, "bpf_trampoline")?;
        let enter = match form {
            Form::Entry => (hit::enter as extern "C" fn(_, _) as *const ()).addr(),
            Form::Around => (hit::enter_around as extern "C" fn(_, _) -> _ as *const ()).addr(),
        };
        let calls = Calls {
            enter: enter as u64,
            leave: (hit::leave as extern "C" fn(_, _) as *const ()).addr() as u64,
            target: core::ptr::from_ref(self.target).expose_provenance() as u64,
            stack: self.target.args >= ARGUMENT_REGS,
        };
        let words = code::words(code.addr() as u64, form, calls).map_err(|e| {
            log::error!("bpf: a trampoline for {function:#x}: {e:?}");
            Errno::EINVAL
        })?;
        code.fill(&words);
        Ok(code)
    }

    /// Has the function enter the trampoline that its programs need, or none.
    fn settle(&mut self) -> Result<(), Errno> {
        let form = self.form();
        if self.live.as_ref().map(|live| live.form) == form {
            return Ok(());
        }
        let Some(form) = form else {
            if let Some(Live { direct, code, .. }) = self.live.take() {
                drop(direct);
                retire::retire(code, self.target);
            }
            return Ok(());
        };
        let code = self.make(form)?;
        // SAFETY: the words keep to the terms, lie where nothing is traced or probed, and are given back when no task can be
        // inside.
        let to = unsafe { Trampoline::at(code.addr()) };
        match &mut self.live {
            Some(live) => {
                live.direct.modify(to)?;
                live.form = form;
                retire::retire(core::mem::replace(&mut live.code, code), self.target);
            }
            None => {
                let site = site_of(self.target.function as usize).ok_or(Errno::ENOENT)?;
                let direct = direct::register(self.ops, to, SiteSet::of([site]))?;
                self.live = Some(Live { direct, code, form });
            }
        }
        Ok(())
    }
}

struct AtFunction {
    function: usize,
    attach: Attach,
    hooked: Arc<Hooked>,
}

impl Drop for AtFunction {
    fn drop(&mut self) {
        let mut functions = FUNCTIONS.lock();
        if let Some(function) = functions.get_mut(&self.function) {
            function.lists.of(self.attach).retain(|hooked| !Arc::ptr_eq(hooked, &self.hooked));
            function.target.publish(function.lists.copy());
            if let Err(e) = function.settle() {
                // It stays as it is: slower, not wrong.
                log::error!("bpf: a trampoline stays: {}", e.strerror());
            }
        }
        drop(functions);
        // Who had the program in hand has run it.
        quiesce::synchronize();
    }
}

impl Attachment for AtFunction {
    fn hooked(&self) -> &Hooked {
        &self.hooked
    }

    fn flavour(&self) -> &'static str {
        "trampoline"
    }

    fn at(&self) -> Vec<(u64, u64)> {
        vec![(self.function as u64, self.hooked.cookie())]
    }

    fn missed(&self) -> Vec<(Cause, u64)> {
        Vec::new()
    }
}

/// The function of a target, and how many of its registers hold arguments.
fn function_of(text: &str) -> Result<(usize, usize), Refused> {
    let function = target::instruction(text)?;
    if site_of(function).is_none_or(|site| site.function != function) {
        return Err(Refused::new(Errno::EINVAL, format!("`{text}` has no entry that can be traced")));
    }
    let Some(known) = ktypes::table().function(function as u64) else {
        let why = format!("nothing is known of the arguments of `{text}`");
        return Err(Refused::new(Errno::EINVAL, why));
    };
    Ok((function, registers_of(&known).len()))
}

/// `fentry/…`, `fexit/…`, `fmod_ret/…`.
pub(super) fn at_function(
    prog: &Arc<Prog>,
    wanted: Wanted<'_>,
    attach: Attach,
) -> Result<Box<dyn Attachment>, Refused> {
    let (function, args) = function_of(wanted.target)?;
    context::same(prog, function, target::instruction)?;
    if attach == Attach::FmodRet && !wanted.target.starts_with(MODIFIABLE) {
        let why = format!("`{}` cannot be given a result: only `{MODIFIABLE}*` can", wanted.target);
        return Err(Refused::new(Errno::EINVAL, why));
    }
    let cookie = wanted.cookies.first().copied().unwrap_or(0);
    let hooked = Arc::new(Hooked::new(prog, cookie));
    let mut functions = FUNCTIONS.lock();
    let known = functions.entry(function).or_insert_with(|| Function::new(function, args));
    let list = known.lists.of(attach);
    list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    list.push(hooked.clone());
    // First the way, then who takes it.
    if let Err(errno) = known.settle() {
        known.lists.of(attach).pop();
        return Err(Refused::new(errno, format!("`{}`: {}", wanted.target, errno.strerror())));
    }
    known.target.publish(known.lists.copy());
    Ok(Box::new(AtFunction { function, attach, hooked }))
}
