//! Names of the system instructions that are encodings of `sys`: caches, address translation, TLB (C5.3 to C5.5).

use crate::insn::Insn;

/// One operation: op1, CRn, CRm, op2, its name, and whether it takes a register.
type SysOp = (u32, u32, u32, u32, &'static str, bool);

const DC: &[SysOp] = &[
    (0, 7, 6, 1, "ivac", true),
    (0, 7, 6, 2, "isw", true),
    (0, 7, 6, 3, "igvac", true),
    (0, 7, 6, 4, "igsw", true),
    (0, 7, 6, 5, "igdvac", true),
    (0, 7, 6, 6, "igdsw", true),
    (0, 7, 10, 2, "csw", true),
    (0, 7, 10, 4, "cgsw", true),
    (0, 7, 10, 6, "cgdsw", true),
    (0, 7, 14, 2, "cisw", true),
    (0, 7, 14, 4, "cigsw", true),
    (0, 7, 14, 6, "cigdsw", true),
    (3, 7, 4, 1, "zva", true),
    (3, 7, 4, 3, "gva", true),
    (3, 7, 4, 4, "gzva", true),
    (3, 7, 10, 1, "cvac", true),
    (3, 7, 10, 3, "cgvac", true),
    (3, 7, 10, 5, "cgdvac", true),
    (3, 7, 11, 1, "cvau", true),
    (3, 7, 12, 1, "cvap", true),
    (3, 7, 12, 3, "cgvap", true),
    (3, 7, 12, 5, "cgdvap", true),
    (3, 7, 13, 1, "cvadp", true),
    (3, 7, 13, 3, "cgvadp", true),
    (3, 7, 13, 5, "cgdvadp", true),
    (3, 7, 14, 1, "civac", true),
    (3, 7, 14, 3, "cigvac", true),
    (3, 7, 14, 5, "cigdvac", true),
];

const IC: &[SysOp] =
    &[(0, 7, 1, 0, "ialluis", false), (0, 7, 5, 0, "iallu", false), (3, 7, 5, 1, "ivau", true)];

const AT: &[SysOp] = &[
    (0, 7, 8, 0, "s1e1r", true),
    (0, 7, 8, 1, "s1e1w", true),
    (0, 7, 8, 2, "s1e0r", true),
    (0, 7, 8, 3, "s1e0w", true),
    (0, 7, 9, 0, "s1e1rp", true),
    (0, 7, 9, 1, "s1e1wp", true),
    (4, 7, 8, 0, "s1e2r", true),
    (4, 7, 8, 1, "s1e2w", true),
    (4, 7, 8, 4, "s12e1r", true),
    (4, 7, 8, 5, "s12e1w", true),
    (4, 7, 8, 6, "s12e0r", true),
    (4, 7, 8, 7, "s12e0w", true),
    (6, 7, 8, 0, "s1e3r", true),
    (6, 7, 8, 1, "s1e3w", true),
];

const TLBI: &[SysOp] = &[
    (0, 8, 1, 0, "vmalle1os", false),
    (0, 8, 1, 1, "vae1os", true),
    (0, 8, 1, 2, "aside1os", true),
    (0, 8, 1, 3, "vaae1os", true),
    (0, 8, 1, 5, "vale1os", true),
    (0, 8, 1, 7, "vaale1os", true),
    (0, 8, 2, 1, "rvae1is", true),
    (0, 8, 2, 3, "rvaae1is", true),
    (0, 8, 2, 5, "rvale1is", true),
    (0, 8, 2, 7, "rvaale1is", true),
    (0, 8, 3, 0, "vmalle1is", false),
    (0, 8, 3, 1, "vae1is", true),
    (0, 8, 3, 2, "aside1is", true),
    (0, 8, 3, 3, "vaae1is", true),
    (0, 8, 3, 5, "vale1is", true),
    (0, 8, 3, 7, "vaale1is", true),
    (0, 8, 5, 1, "rvae1os", true),
    (0, 8, 5, 3, "rvaae1os", true),
    (0, 8, 5, 5, "rvale1os", true),
    (0, 8, 5, 7, "rvaale1os", true),
    (0, 8, 6, 1, "rvae1", true),
    (0, 8, 6, 3, "rvaae1", true),
    (0, 8, 6, 5, "rvale1", true),
    (0, 8, 6, 7, "rvaale1", true),
    (0, 8, 7, 0, "vmalle1", false),
    (0, 8, 7, 1, "vae1", true),
    (0, 8, 7, 2, "aside1", true),
    (0, 8, 7, 3, "vaae1", true),
    (0, 8, 7, 5, "vale1", true),
    (0, 8, 7, 7, "vaale1", true),
    (4, 8, 0, 1, "ipas2e1is", true),
    (4, 8, 0, 2, "ripas2e1is", true),
    (4, 8, 0, 5, "ipas2le1is", true),
    (4, 8, 0, 6, "ripas2le1is", true),
    (4, 8, 1, 0, "alle2os", false),
    (4, 8, 1, 1, "vae2os", true),
    (4, 8, 1, 4, "alle1os", false),
    (4, 8, 1, 5, "vale2os", true),
    (4, 8, 1, 6, "vmalls12e1os", false),
    (4, 8, 2, 1, "rvae2is", true),
    (4, 8, 2, 5, "rvale2is", true),
    (4, 8, 3, 0, "alle2is", false),
    (4, 8, 3, 1, "vae2is", true),
    (4, 8, 3, 4, "alle1is", false),
    (4, 8, 3, 5, "vale2is", true),
    (4, 8, 3, 6, "vmalls12e1is", false),
    (4, 8, 4, 1, "ipas2e1", true),
    (4, 8, 4, 2, "ripas2e1", true),
    (4, 8, 4, 5, "ipas2le1", true),
    (4, 8, 4, 6, "ripas2le1", true),
    (4, 8, 7, 0, "alle2", false),
    (4, 8, 7, 1, "vae2", true),
    (4, 8, 7, 4, "alle1", false),
    (4, 8, 7, 5, "vale2", true),
    (4, 8, 7, 6, "vmalls12e1", false),
    (6, 8, 3, 0, "alle3is", false),
    (6, 8, 3, 1, "vae3is", true),
    (6, 8, 3, 5, "vale3is", true),
    (6, 8, 7, 0, "alle3", false),
    (6, 8, 7, 1, "vae3", true),
    (6, 8, 7, 5, "vale3", true),
];

/// The entry of a word, if it is in the table and has a register exactly where the operation takes one.
fn entry(table: &'static [SysOp], insn: Insn) -> Option<&'static SysOp> {
    let key = (insn.field(16, 3), insn.field(12, 4), insn.field(8, 4), insn.field(5, 3));
    let found = table.iter().find(|op| (op.0, op.1, op.2, op.3) == key)?;
    (found.5 || insn.rd() == 31).then_some(found)
}

pub(super) fn is_dc(insn: Insn) -> bool {
    entry(DC, insn).is_some()
}

pub(super) fn is_ic(insn: Insn) -> bool {
    entry(IC, insn).is_some()
}

pub(super) fn is_at(insn: Insn) -> bool {
    entry(AT, insn).is_some()
}

pub(super) fn is_tlbi(insn: Insn) -> bool {
    entry(TLBI, insn).is_some()
}

/// The name of the operation, and whether it takes a register.
pub(super) fn lookup(insn: Insn) -> Option<(&'static str, bool)> {
    [DC, IC, AT, TLBI].into_iter().find_map(|table| entry(table, insn)).map(|op| (op.4, op.5))
}
