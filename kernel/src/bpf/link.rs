//! Links: attachments, numbered and owned.
//!
//! ```text
//!   create(program, target) ─▶ Arc<Link> ──held by──▶ whoever made it, names under /sys/fs/bpf, the list of kept ones
//!                                │
//!         last one lets go, or detach: the hook calls no more, what it called has returned, the program is let go
//! ```
//!
//! A link that is detached stays in the list without a hook until nobody holds it, as on Linux. Its program can be replaced:
//! each hit runs the old or the new one, those that begin afterwards the new.
//!
//! Lock order: a link's attachment, then what its hook takes. The registry's lock is held over neither.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use ::bpf::kind::{Attach, Section};
use tracecore::errno::Errno;
use tracecore::misses::{Cause, Layer, Table};

use super::attach::{Attachment, Hooked, Refused, Wanted, attach};
use super::prog::{self, Prog};
use crate::fs::bpffs::{self, ROOT};
use crate::task::Mutex;

/// The most links at a time.
pub(crate) const LINKS_MAX: usize = 4096;

/// An attachment with a number.
pub(crate) struct Link {
    id: u32,
    attach: Attach,
    target: String,
    /// None when it was detached.
    attachment: Mutex<Option<Box<dyn Attachment>>>,
}

/// What a link is, for those who show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The program, if it is attached.
    pub(crate) prog: Option<u32>,
    /// How hits come.
    pub(crate) flavour: &'static str,
    /// How many places are hooked.
    pub(crate) places: usize,
    /// Where, and each place's cookie.
    pub(crate) at: Vec<(u64, u64)>,
    /// Hits that did not come as far as the program.
    pub(crate) missed: Vec<(Cause, u64)>,
}

struct Registry {
    last: u32,
    by_id: BTreeMap<u32, Weak<Link>>,
    /// Those that nobody but the list holds: made by a command that has ended.
    kept: BTreeMap<u32, Arc<Link>>,
}

static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { last: 0, by_id: BTreeMap::new(), kept: BTreeMap::new() });
static MADE: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);

/// How many links were made since boot, and how many of them are gone.
pub(crate) fn totals() -> (u64, u64) {
    (MADE.load(Ordering::Relaxed), FREED.load(Ordering::Relaxed))
}

/// Attaches a program, and gives the link.
///
/// # Errors
/// ENOSPC: there are [`LINKS_MAX`]. Those of [`attach`].
pub(crate) fn create(prog: &Arc<Prog>, wanted: Wanted<'_>) -> Result<Arc<Link>, Refused> {
    if REGISTRY.lock().by_id.len() >= LINKS_MAX {
        return Err(Refused { errno: Errno::ENOSPC, why: format!("there are {LINKS_MAX} links") });
    }
    let attachment = attach(prog, wanted)?;
    let mut registry = REGISTRY.lock();
    registry.last += 1;
    let link = Arc::new(Link {
        id: registry.last,
        attach: prog.parts().attach,
        target: wanted.target.into(),
        attachment: Mutex::new(Some(attachment)),
    });
    registry.by_id.insert(link.id, Arc::downgrade(&link));
    MADE.fetch_add(1, Ordering::Relaxed);
    Ok(link)
}

impl Link {
    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// How its program is attached.
    pub(crate) fn attach(&self) -> Attach {
        self.attach
    }

    /// To what, as it was written.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// What it is now.
    pub(crate) fn shown(&self) -> Shown {
        match &*self.attachment.lock() {
            Some(attachment) => Shown {
                prog: Some(attachment.hooked().prog().id()),
                flavour: attachment.flavour(),
                places: attachment.places(),
                at: attachment.at(),
                missed: attachment.missed(),
            },
            None => Shown { prog: None, flavour: "detached", places: 0, at: Vec::new(), missed: Vec::new() },
        }
    }

    /// Hits that did not come as far as the program.
    pub(crate) fn missed(&self) -> u64 {
        self.shown().missed.iter().map(|(_, count)| count).sum()
    }

    /// Has a path under `/sys/fs/bpf` keep it.
    ///
    /// # Errors
    /// Those of the path.
    pub(crate) fn pin(self: &Arc<Self>, path: &str) -> Result<(), Errno> {
        bpffs::pin(path, self.clone())
    }

    /// The paths that keep it.
    pub(crate) fn paths(&self) -> Vec<String> {
        bpffs::paths_of(core::ptr::from_ref(self).cast())
    }

    /// Has its hook run another program of the same kind. Gives the old one.
    ///
    /// # Errors
    /// EINVAL: it is of another kind. ENOLINK: it is detached.
    pub(crate) fn replace(&self, prog: &Arc<Prog>) -> Result<Arc<Prog>, Refused> {
        let theirs = prog.parts().attach;
        if theirs != self.attach {
            let why = format!("a program of `{}` in place of one of `{}`", theirs.name(), self.attach.name());
            return Err(Refused { errno: Errno::EINVAL, why });
        }
        match &*self.attachment.lock() {
            Some(attachment) => {
                self.fits(attachment.hooked(), prog)?;
                Ok(attachment.hooked().replace(prog))
            }
            None => Err(Refused { errno: Errno::ENOLINK, why: "the link is detached".into() }),
        }
    }

    /// Was the program verified for what the present one is given?
    fn fits(&self, hooked: &Hooked, prog: &Prog) -> Result<(), Refused> {
        let by_target = matches!(
            self.attach,
            Attach::Tracepoint | Attach::TpBtf | Attach::Fentry | Attach::Fexit | Attach::FmodRet
        );
        let same = prog.parts().section == hooked.prog().parts().section;
        if by_target && !same || prog.parts().context_bytes > hooked.context_bytes() {
            let why = format!("the program was verified for {}", prog.parts().section);
            return Err(Refused { errno: Errno::EINVAL, why });
        }
        Ok(())
    }

    /// Detaches it: when this returns the hook runs the program no more. Says whether it was attached.
    pub(crate) fn detach(&self) -> bool {
        let attachment = self.attachment.lock().take();
        attachment.is_some()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        REGISTRY.lock().by_id.remove(&self.id);
        FREED.fetch_add(1, Ordering::Relaxed);
    }
}

/// All links, by number.
pub(crate) fn all() -> Vec<Arc<Link>> {
    let registry = REGISTRY.lock();
    registry.by_id.values().filter_map(Weak::upgrade).collect()
}

/// The link of a number.
pub(crate) fn by_id(id: u32) -> Option<Arc<Link>> {
    REGISTRY.lock().by_id.get(&id).and_then(Weak::upgrade)
}

/// Keeps a link though its maker ends, until it is let go by its number.
pub(crate) fn keep(link: Arc<Link>) {
    REGISTRY.lock().kept.insert(link.id, link);
}

/// Attaches a program as the section that it came from says, and keeps the link under a name.
///
/// # Errors
/// Those of [`create`]; EINVAL also when the section does not say to what. EEXIST: the name is taken.
pub(crate) fn auto(prog: &Arc<Prog>, name: &str) -> Result<Arc<Link>, Refused> {
    let section = prog.parts().section.clone();
    let target = Section::parse(&section).map_or("", |section| section.target);
    let path = path_of(name);
    if bpffs::get(&path).is_ok() {
        return Err(Refused { errno: Errno::EEXIST, why: format!("{path} is there already") });
    }
    let link = create(prog, Wanted { target, cookies: &[] })?;
    link.pin(&path).map_err(|errno| Refused { errno, why: format!("{path}: {}", errno.strerror()) })?;
    Ok(link)
}

/// The path that a word means: a name alone is one under `/sys/fs/bpf`.
pub(crate) fn path_of(word: &str) -> String {
    if word.starts_with('/') { word.into() } else { format!("{ROOT}/{word}") }
}

/// The link of a path or name.
pub(crate) fn pinned(word: &str) -> Option<Arc<Link>> {
    bpffs::get(&path_of(word)).ok()?.downcast().ok()
}

/// Detaches a link and lets go of it, under whatever name it is kept. Says whether it was attached.
pub(crate) fn release(link: &Arc<Link>) -> bool {
    let was_attached = link.detach();
    for path in link.paths() {
        // Somebody else may have removed it.
        let _ = bpffs::unpin(&path);
    }
    let kept = REGISTRY.lock().kept.remove(&link.id);
    // Not under the lock, which a link that goes takes.
    drop(kept);
    was_attached
}

/// Adds what hooks did not hand to programs, and what programs did not run because they were running.
pub(crate) fn misses(table: &mut Table) {
    for prog in prog::all() {
        let count = prog.counts().recursion_misses;
        if count > 0 {
            let owner = format!("prog{} {}", prog.id(), prog.parts().name);
            table.add(Layer::Bpf, &owner, Cause::Recursion, count);
        }
    }
    for link in all() {
        let owner = format!("link{} {}/{}", link.id, link.attach.name(), link.target);
        for (cause, count) in link.shown().missed {
            if count > 0 {
                table.add(Layer::Bpf, &owner, cause, count);
            }
        }
    }
}
