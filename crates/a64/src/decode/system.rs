//! Hints, barriers, PSTATE, system instructions and registers (C4.1.93).

use super::op::Op::{
    BarrierName, BarrierNxs, BtiTarget, C, CrmOption, Hex, Imm, Name, NextX, PState, SysArgument, SysName,
    SysRt, System, X,
};
use super::op::field::D;
use super::{Section, row, section, sysop};

pub(super) const SECTIONS: &[Section] = &[
    section(
        "System instructions with register argument",
        "1101010100 0 00 011 0001 xxxx xxx xxxxx",
        &[
            row("1101010100 0 00 011 0001 0000 000 ttttt", "wfet", &[X(D)]),
            row("1101010100 0 00 011 0001 0000 001 ttttt", "wfit", &[X(D)]),
        ],
    ),
    section(
        "Hints",
        "1101010100 0 00 011 0010 xxxx xxx 11111",
        &[
            row("1101010100 0 00 011 0010 0000 000 11111", "nop", &[]),
            row("1101010100 0 00 011 0010 0000 001 11111", "yield", &[]),
            row("1101010100 0 00 011 0010 0000 010 11111", "wfe", &[]),
            row("1101010100 0 00 011 0010 0000 011 11111", "wfi", &[]),
            row("1101010100 0 00 011 0010 0000 100 11111", "sev", &[]),
            row("1101010100 0 00 011 0010 0000 101 11111", "sevl", &[]),
            row("1101010100 0 00 011 0010 0000 110 11111", "dgh", &[]),
            row("1101010100 0 00 011 0010 0000 111 11111", "xpaclri", &[]),
            row("1101010100 0 00 011 0010 0001 000 11111", "pacia1716", &[]),
            row("1101010100 0 00 011 0010 0001 010 11111", "pacib1716", &[]),
            row("1101010100 0 00 011 0010 0001 100 11111", "autia1716", &[]),
            row("1101010100 0 00 011 0010 0001 110 11111", "autib1716", &[]),
            row("1101010100 0 00 011 0010 0010 000 11111", "esb", &[]),
            row("1101010100 0 00 011 0010 0010 001 11111", "psb", &[Name("csync")]),
            row("1101010100 0 00 011 0010 0010 010 11111", "tsb", &[Name("csync")]),
            row("1101010100 0 00 011 0010 0010 011 11111", "gcsb", &[Name("dsync")]),
            row("1101010100 0 00 011 0010 0010 100 11111", "csdb", &[]),
            row("1101010100 0 00 011 0010 0010 110 11111", "clrbhb", &[]),
            row("1101010100 0 00 011 0010 0011 000 11111", "paciaz", &[]),
            row("1101010100 0 00 011 0010 0011 001 11111", "paciasp", &[]),
            row("1101010100 0 00 011 0010 0011 010 11111", "pacibz", &[]),
            row("1101010100 0 00 011 0010 0011 011 11111", "pacibsp", &[]),
            row("1101010100 0 00 011 0010 0011 100 11111", "autiaz", &[]),
            row("1101010100 0 00 011 0010 0011 101 11111", "autiasp", &[]),
            row("1101010100 0 00 011 0010 0011 110 11111", "autibz", &[]),
            row("1101010100 0 00 011 0010 0011 111 11111", "autibsp", &[]),
            row("1101010100 0 00 011 0010 0100 xx0 11111", "bti", &[BtiTarget]),
            row("1101010100 0 00 011 0010 0100 111 11111", "pacm", &[]),
            row("1101010100 0 00 011 0010 0101 000 11111", "chkfeat", &[Name("x16")]),
            // Every other hint is allocated too: it does nothing.
            row("1101010100 0 00 011 0010 mmmm ooo 11111", "hint", &[Hex(5, 7)]),
        ],
    ),
    section(
        "Barriers",
        "1101010100 0 00 011 0011 xxxx xxx 11111",
        &[
            row("1101010100 0 00 011 0011 mm10 001 11111", "dsb", &[BarrierNxs]),
            row("1101010100 0 00 011 0011 mmmm 010 11111", "clrex", &[CrmOption]),
            row("1101010100 0 00 011 0011 0000 011 11111", "tcommit", &[]),
            row("1101010100 0 00 011 0011 mmmm 100 11111", "dsb", &[BarrierName]),
            row("1101010100 0 00 011 0011 mmmm 101 11111", "dmb", &[BarrierName]),
            row("1101010100 0 00 011 0011 mmmm 110 11111", "isb", &[CrmOption]),
            row("1101010100 0 00 011 0011 0000 111 11111", "sb", &[]),
        ],
    )
    .aliases(&[
        row("1101010100 0 00 011 0011 0000 100 11111", "ssbb", &[]),
        row("1101010100 0 00 011 0011 0100 100 11111", "pssbb", &[]),
    ]),
    section(
        "PSTATE",
        "1101010100 0 00 xxx 0100 xxxx xxx 11111",
        &[
            row("1101010100 0 00 000 0100 0000 000 11111", "cfinv", &[]),
            row("1101010100 0 00 000 0100 0000 001 11111", "xaflag", &[]),
            row("1101010100 0 00 000 0100 0000 010 11111", "axflag", &[]),
            row("1101010100 0 00 000 0100 iiii 011 11111", "msr", &[PState, Imm(8, 4)]),
            row("1101010100 0 00 000 0100 iiii 100 11111", "msr", &[PState, Imm(8, 4)]),
            row("1101010100 0 00 000 0100 iiii 101 11111", "msr", &[PState, Imm(8, 4)]),
            row("1101010100 0 00 001 0100 000i 000 11111", "msr", &[PState, Imm(8, 1)]),
            row("1101010100 0 00 001 0100 001i 000 11111", "msr", &[Name("pm"), Imm(8, 1)]),
            row("1101010100 0 00 011 0100 iiii 001 11111", "msr", &[PState, Imm(8, 4)]),
            row("1101010100 0 00 011 0100 iiii 010 11111", "msr", &[PState, Imm(8, 4)]),
            row("1101010100 0 00 011 0100 001i 011 11111", "msr", &[Name("svcrsm"), Imm(8, 1)]),
            row("1101010100 0 00 011 0100 010i 011 11111", "msr", &[Name("svcrza"), Imm(8, 1)]),
            row("1101010100 0 00 011 0100 011i 011 11111", "msr", &[Name("svcrsmza"), Imm(8, 1)]),
            row("1101010100 0 00 011 0100 iiii 100 11111", "msr", &[PState, Imm(8, 4)]),
            row("1101010100 0 00 011 0100 iiii 110 11111", "msr", &[PState, Imm(8, 4)]),
            row("1101010100 0 00 011 0100 iiii 111 11111", "msr", &[PState, Imm(8, 4)]),
        ],
    )
    .aliases(&[
        row("1101010100 0 00 011 0100 0010 011 11111", "smstop", &[Name("sm")]),
        row("1101010100 0 00 011 0100 0011 011 11111", "smstart", &[Name("sm")]),
        row("1101010100 0 00 011 0100 0100 011 11111", "smstop", &[Name("za")]),
        row("1101010100 0 00 011 0100 0101 011 11111", "smstart", &[Name("za")]),
        row("1101010100 0 00 011 0100 0110 011 11111", "smstop", &[]),
        row("1101010100 0 00 011 0100 0111 011 11111", "smstart", &[]),
    ]),
    section(
        "System with result",
        "1101010100 1 00 xxx xxxx xxxx xxx xxxxx",
        &[
            row("1101010100 1 00 011 0011 0000 011 ttttt", "tstart", &[X(D)]),
            row("1101010100 1 00 011 0011 0001 011 ttttt", "ttest", &[X(D)]),
        ],
    ),
    section(
        "System instructions",
        "1101010100 x 01 xxx xxxx xxxx xxx xxxxx",
        &[
            row(
                "1101010100 0 01 ooo nnnn mmmm ppp ttttt",
                "sys",
                &[Imm(16, 3), C(12), C(8), Imm(5, 3), SysRt],
            ),
            row(
                "1101010100 1 01 ooo nnnn mmmm ppp ttttt",
                "sysl",
                &[X(D), Imm(16, 3), C(12), C(8), Imm(5, 3)],
            ),
        ],
    )
    .aliases(&[
        row("1101010100 0 01 ooo 0111 mmmm ppp ttttt", "dc", &[SysName, SysArgument]).when(sysop::is_dc),
        row("1101010100 0 01 ooo 0111 mmmm ppp ttttt", "ic", &[SysName, SysArgument]).when(sysop::is_ic),
        row("1101010100 0 01 ooo 0111 mmmm ppp ttttt", "at", &[SysName, SysArgument]).when(sysop::is_at),
        row("1101010100 0 01 ooo 1000 mmmm ppp ttttt", "tlbi", &[SysName, SysArgument]).when(sysop::is_tlbi),
    ]),
    section(
        "System register move",
        "1101010100 x 1x xxx xxxx xxxx xxx xxxxx",
        &[
            row("1101010100 0 1o ooo nnnn mmmm ppp ttttt", "msr", &[System, X(D)]),
            row("1101010100 1 1o ooo nnnn mmmm ppp ttttt", "mrs", &[X(D), System]),
        ],
    ),
    section(
        "System pair instructions, and register moves of a pair",
        "1101010101 x xx xxx xxxx xxxx xxx xxxxx",
        &[
            row("1101010101 0 01 ooo nnnn mmmm ppp 11111", "sysp", &[Imm(16, 3), C(12), C(8), Imm(5, 3)]),
            row(
                "1101010101 0 01 ooo nnnn mmmm ppp tttt0",
                "sysp",
                &[Imm(16, 3), C(12), C(8), Imm(5, 3), X(D), NextX(D)],
            ),
            row("1101010101 0 1o ooo nnnn mmmm ppp tttt0", "msrr", &[System, X(D), NextX(D)]),
            row("1101010101 1 1o ooo nnnn mmmm ppp tttt0", "mrrs", &[X(D), NextX(D), System]),
        ],
    ),
];
