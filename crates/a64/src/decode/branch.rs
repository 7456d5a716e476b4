//! Branches and exception generation (C4.1.93), and `udf` (C4.1.1).

use super::op::Op::{
    CondSuffix, Hex, Imm, Label9, Label14, Label19, Label26, LabelBack16, R, TestBit, TestReg, W, X, Xsp,
};
use super::op::field::{D, M, N};
use super::{Section, row, section};

pub(super) const RESERVED: &[Section] = &[section(
    "Reserved",
    "0 xx 0000 xxxxxxxxxxxxxxxxxxxxxxxxx",
    &[row("0000000000000000 iiiiiiiiiiiiiiii", "udf", &[Imm(0, 16)])],
)];

pub(super) const SECTIONS: &[Section] = &[
    section(
        "Unconditional branch (immediate)",
        "x 00101 xxxxxxxxxxxxxxxxxxxxxxxxxx",
        &[
            row("0 00101 iiiiiiiiiiiiiiiiiiiiiiiiii", "b", &[Label26]),
            row("1 00101 iiiiiiiiiiiiiiiiiiiiiiiiii", "bl", &[Label26]),
        ],
    ),
    section(
        "Compare and branch (immediate)",
        "x 011010 x xxxxxxxxxxxxxxxxxxx xxxxx",
        &[
            row("s 011010 0 iiiiiiiiiiiiiiiiiii ttttt", "cbz", &[R(D), Label19]),
            row("s 011010 1 iiiiiiiiiiiiiiiiiii ttttt", "cbnz", &[R(D), Label19]),
        ],
    ),
    section(
        "Test and branch (immediate)",
        "x 011011 x xxxxx xxxxxxxxxxxxxx xxxxx",
        &[
            row("b 011011 0 bbbbb iiiiiiiiiiiiii ttttt", "tbz", &[TestReg, TestBit, Label14]),
            row("b 011011 1 bbbbb iiiiiiiiiiiiii ttttt", "tbnz", &[TestReg, TestBit, Label14]),
        ],
    ),
    // The condition is part of the mnemonic: `b.eq`.
    section(
        "Conditional branch (immediate)",
        "0101010 0 xxxxxxxxxxxxxxxxxxx x xxxx",
        &[
            row("0101010 0 iiiiiiiiiiiiiiiiiii 0 cccc", "b.", &[CondSuffix, Label19]),
            row("0101010 0 iiiiiiiiiiiiiiiiiii 1 cccc", "bc.", &[CondSuffix, Label19]),
        ],
    ),
    section(
        "Compare registers and branch",
        "x 1110100 xxx xxxxx xx xxxxxxxxx xxxxx",
        &[
            row("s 1110100 000 mmmmm 00 iiiiiiiii ttttt", "cbgt", &[R(D), R(M), Label9]),
            row("s 1110100 001 mmmmm 00 iiiiiiiii ttttt", "cbge", &[R(D), R(M), Label9]),
            row("s 1110100 010 mmmmm 00 iiiiiiiii ttttt", "cbhi", &[R(D), R(M), Label9]),
            row("s 1110100 011 mmmmm 00 iiiiiiiii ttttt", "cbhs", &[R(D), R(M), Label9]),
            row("s 1110100 110 mmmmm 00 iiiiiiiii ttttt", "cbeq", &[R(D), R(M), Label9]),
            row("s 1110100 111 mmmmm 00 iiiiiiiii ttttt", "cbne", &[R(D), R(M), Label9]),
            row("0 1110100 000 mmmmm 10 iiiiiiiii ttttt", "cbbgt", &[W(D), W(M), Label9]),
            row("0 1110100 001 mmmmm 10 iiiiiiiii ttttt", "cbbge", &[W(D), W(M), Label9]),
            row("0 1110100 010 mmmmm 10 iiiiiiiii ttttt", "cbbhi", &[W(D), W(M), Label9]),
            row("0 1110100 011 mmmmm 10 iiiiiiiii ttttt", "cbbhs", &[W(D), W(M), Label9]),
            row("0 1110100 110 mmmmm 10 iiiiiiiii ttttt", "cbbeq", &[W(D), W(M), Label9]),
            row("0 1110100 111 mmmmm 10 iiiiiiiii ttttt", "cbbne", &[W(D), W(M), Label9]),
            row("0 1110100 000 mmmmm 11 iiiiiiiii ttttt", "cbhgt", &[W(D), W(M), Label9]),
            row("0 1110100 001 mmmmm 11 iiiiiiiii ttttt", "cbhge", &[W(D), W(M), Label9]),
            row("0 1110100 010 mmmmm 11 iiiiiiiii ttttt", "cbhhi", &[W(D), W(M), Label9]),
            row("0 1110100 011 mmmmm 11 iiiiiiiii ttttt", "cbhhs", &[W(D), W(M), Label9]),
            row("0 1110100 110 mmmmm 11 iiiiiiiii ttttt", "cbheq", &[W(D), W(M), Label9]),
            row("0 1110100 111 mmmmm 11 iiiiiiiii ttttt", "cbhne", &[W(D), W(M), Label9]),
        ],
    ),
    section(
        "Compare register with immediate and branch",
        "x 1110101 xxx xxxxxx x xxxxxxxxx xxxxx",
        &[
            row("s 1110101 000 vvvvvv 0 iiiiiiiii ttttt", "cbgt", &[R(D), Imm(15, 6), Label9]),
            row("s 1110101 001 vvvvvv 0 iiiiiiiii ttttt", "cblt", &[R(D), Imm(15, 6), Label9]),
            row("s 1110101 010 vvvvvv 0 iiiiiiiii ttttt", "cbhi", &[R(D), Imm(15, 6), Label9]),
            row("s 1110101 011 vvvvvv 0 iiiiiiiii ttttt", "cblo", &[R(D), Imm(15, 6), Label9]),
            row("s 1110101 110 vvvvvv 0 iiiiiiiii ttttt", "cbeq", &[R(D), Imm(15, 6), Label9]),
            row("s 1110101 111 vvvvvv 0 iiiiiiiii ttttt", "cbne", &[R(D), Imm(15, 6), Label9]),
        ],
    ),
    section(
        "Exception generation",
        "11010100 xxx xxxxxxxxxxxxxxxx xxx xx",
        &[
            row("11010100 000 iiiiiiiiiiiiiiii 000 01", "svc", &[Hex(5, 16)]),
            row("11010100 000 iiiiiiiiiiiiiiii 000 10", "hvc", &[Hex(5, 16)]),
            row("11010100 000 iiiiiiiiiiiiiiii 000 11", "smc", &[Hex(5, 16)]),
            row("11010100 001 iiiiiiiiiiiiiiii 000 00", "brk", &[Hex(5, 16)]),
            row("11010100 010 iiiiiiiiiiiiiiii 000 00", "hlt", &[Hex(5, 16)]),
            row("11010100 011 iiiiiiiiiiiiiiii 000 00", "tcancel", &[Hex(5, 16)]),
            row("11010100 101 iiiiiiiiiiiiiiii 000 01", "dcps1", &[Hex(5, 16)]),
            row("11010100 101 iiiiiiiiiiiiiiii 000 10", "dcps2", &[Hex(5, 16)]),
            row("11010100 101 iiiiiiiiiiiiiiii 000 11", "dcps3", &[Hex(5, 16)]),
        ],
    )
    .aliases(&[
        row("11010100 101 0000000000000000 000 01", "dcps1", &[]),
        row("11010100 101 0000000000000000 000 10", "dcps2", &[]),
        row("11010100 101 0000000000000000 000 11", "dcps3", &[]),
    ]),
    section(
        "Unconditional branch (register)",
        "1101011 xxxx xxxxx xxxxxx xxxxx xxxxx",
        &[
            row("1101011 0000 11111 000000 nnnnn 00000", "br", &[X(N)]),
            row("1101011 0000 11111 000010 nnnnn 11111", "braaz", &[X(N)]),
            row("1101011 0000 11111 000011 nnnnn 11111", "brabz", &[X(N)]),
            row("1101011 0001 11111 000000 nnnnn 00000", "blr", &[X(N)]),
            row("1101011 0001 11111 000010 nnnnn 11111", "blraaz", &[X(N)]),
            row("1101011 0001 11111 000011 nnnnn 11111", "blrabz", &[X(N)]),
            row("1101011 0010 11111 000000 nnnnn 00000", "ret", &[X(N)]),
            row("1101011 0010 11111 000010 11111 11111", "retaa", &[]),
            row("1101011 0010 11111 000010 11111 mmmmm", "retaasppcr", &[X(D)]),
            row("1101011 0010 11111 000011 11111 11111", "retab", &[]),
            row("1101011 0010 11111 000011 11111 mmmmm", "retabsppcr", &[X(D)]),
            row("1101011 0100 11111 000000 11111 00000", "eret", &[]),
            row("1101011 0100 11111 000010 11111 11111", "eretaa", &[]),
            row("1101011 0100 11111 000011 11111 11111", "eretab", &[]),
            row("1101011 0101 11111 000000 11111 00000", "drps", &[]),
            row("1101011 1000 11111 000010 nnnnn mmmmm", "braa", &[X(N), Xsp(D)]),
            row("1101011 1000 11111 000011 nnnnn mmmmm", "brab", &[X(N), Xsp(D)]),
            row("1101011 1001 11111 000010 nnnnn mmmmm", "blraa", &[X(N), Xsp(D)]),
            row("1101011 1001 11111 000011 nnnnn mmmmm", "blrab", &[X(N), Xsp(D)]),
        ],
    )
    .aliases(&[row("1101011 0010 11111 000000 11110 00000", "ret", &[])]),
    section(
        "Miscellaneous branch (immediate)",
        "01010101 xxx xxxxxxxxxxxxxxxx xxxxx",
        &[
            row("01010101 000 iiiiiiiiiiiiiiii 11111", "retaasppc", &[LabelBack16]),
            row("01010101 001 iiiiiiiiiiiiiiii 11111", "retabsppc", &[LabelBack16]),
        ],
    ),
];
