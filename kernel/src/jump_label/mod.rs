//! Static keys: a branch that costs one NOP while nobody wants it.
//!
//! A switch that is read often and set rarely need not be read at all. Who sets it rewrites the code instead:
//!
//! ```text
//!   static KEY: StaticKey = StaticKey::new("name", false);
//!   if static_branch_unlikely!(KEY) { rare() }
//!
//!                    off                on
//!        site:       nop                b  1f          ◀── the only word that changes
//!                    …common            …common
//!        1:          rare()             rare()         out of line
//!                    b back             b back
//! ```
//!
//! NOP and B are both words that may change while they are executed (Arm ARM B2.2.5), so a key is flipped while all
//! CPUs run: its sites are one batch for [`text`](crate::text), and no CPU is stopped.
//!
//! # Truth table
//!
//! Each site is compiled as for a key that is off. At boot [`init`] patches those of keys that start on. What is
//! in line follows from the hint, so the word is NOP when the hint was right:
//!
//! | starts | hint | compiled | after boot | when on | when off |
//! |---|---|---|---|---|---|
//! | off | unlikely | `nop` | `nop` | `b` | `nop` |
//! | off | likely | `b` | `b` | `nop` | `b` |
//! | on | unlikely | `nop` | `b` | `b` | `nop` |
//! | on | likely | `b` | `nop` | `nop` | `b` |
//!
//! or: the branch is taken when "on" and "likely" differ ([`tracecore::keys::Site::jumps`]). The hint is the branch
//! bit of the site's entry in `__jump_table`. Until `init` every key reads as off.
//!
//! | file | what |
//! |---|---|
//! | `key` | the key: counts, and the flip |
//! | `sites` | the table: sorted at boot, asked by address |
//! | `deferred` | a key that is switched off late, so that a user who comes and goes does not flip it each time |
//!
//! # Rules
//!
//! Keys are flipped by tasks with interrupts on, since CPUs must be synchronised. They can be read anywhere, also in
//! `noinstr` code. A probe is refused on a site: it would change a word that the key's next flip expects.

mod deferred;
mod key;
mod sites;
pub(crate) mod tests;

pub(crate) use deferred::{DeferredKey, set_later};
pub(crate) use key::{Refusal, StaticKey};
pub(crate) use sites::{init, is_site, keys};

/// The instruction and its entry; `$word` is what is compiled, `$likely` the branch bit, `$out` the other way.
macro_rules! static_branch {
    ($key:path, $word:literal, $likely:literal, $in_line:literal, $out:literal) => {
        'site: {
            let _: &'static $crate::jump_label::StaticKey = &$key;
            #[expect(unsafe_code, reason = "an instruction that does nothing or branches")]
            // SAFETY: a NOP, or a branch to the label, with no other effect. The entry names a key, as the line above
            // makes sure, and is 16 bytes long and aligned as `sites` reads it.
            let () = unsafe {
                core::arch::asm!(
                    concat!("2: ", $word),
                    ".pushsection __jump_table, \"a\", %progbits",
                    ".balign 8",
                    ".long 2b - .",
                    ".long {out} - .",
                    concat!(".quad {key} - . + ", $likely),
                    ".popsection",
                    key = sym $key,
                    out = label { break 'site $out },
                    options(nomem, nostack, preserves_flags),
                )
            };
            $in_line
        }
    };
}

/// Is the key on? In line is what is done when it is off. Takes the path of a [`StaticKey`].
macro_rules! static_branch_unlikely {
    ($key:path) => {
        $crate::jump_label::static_branch!($key, "nop", "0", false, true)
    };
}

/// Is the key on? In line is what is done when it is on. Takes the path of a [`StaticKey`].
macro_rules! static_branch_likely {
    ($key:path) => {
        $crate::jump_label::static_branch!($key, "b {out}", "1", true, false)
    };
}

pub(crate) use {static_branch, static_branch_likely, static_branch_unlikely};
