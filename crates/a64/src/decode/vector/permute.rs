//! Elements moved: copies, tables, permutations, extraction.

use super::super::op::Op::{Fimm5, Imm, LaneImm4, LaneImm5, R30, Table, V, Vimm5, Vq, W, X};
use super::super::op::field::{D, M, N};
use super::super::operand::FpSize::B as Byte;
use super::super::rules::{copy_any, copy_element, copy_signed, copy_unsigned, copy_whole, ext_index};
use super::super::{Row, Section, row, section};
use super::ANY;

/// A permutation of two vectors.
const fn permute(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[V(D), V(N), V(M)]).size_q(ANY)
}

pub(in crate::decode) const SECTIONS: &[Section] = &[
    section(
        "Advanced SIMD copy",
        "0 x x 01110000 xxxxx 0 xxxx 1 xxxxx xxxxx",
        &[
            row("0 q 0 01110000 iiiii 0 0000 1 nnnnn ddddd", "dup", &[Vimm5(D), LaneImm5(N)])
                .when(copy_element),
            row("0 1 0 01110000 i1000 0 0001 1 nnnnn ddddd", "dup", &[Vimm5(D), X(N)]),
            row("0 q 0 01110000 iiiii 0 0001 1 nnnnn ddddd", "dup", &[Vimm5(D), W(N)]).when(copy_element),
            row("0 q 0 01110000 iiiii 0 0101 1 nnnnn ddddd", "smov", &[R30(D), LaneImm5(N)])
                .when(copy_signed),
            row("0 q 0 01110000 iiiii 0 0111 1 nnnnn ddddd", "umov", &[R30(D), LaneImm5(N)])
                .when(copy_unsigned),
            row("0 1 0 01110000 i1000 0 0011 1 nnnnn ddddd", "ins", &[LaneImm5(D), X(N)]),
            row("0 1 0 01110000 iiiii 0 0011 1 nnnnn ddddd", "ins", &[LaneImm5(D), W(N)]).when(copy_any),
            row("0 1 1 01110000 iiiii 0 iiii 1 nnnnn ddddd", "ins", &[LaneImm5(D), LaneImm4(N)])
                .when(copy_any),
        ],
    )
    .aliases(&[
        row("0 q 0 01110000 iiiii 0 0111 1 nnnnn ddddd", "mov", &[R30(D), LaneImm5(N)]).when(copy_whole),
        row("0 1 0 01110000 i1000 0 0011 1 nnnnn ddddd", "mov", &[LaneImm5(D), X(N)]),
        row("0 1 0 01110000 iiiii 0 0011 1 nnnnn ddddd", "mov", &[LaneImm5(D), W(N)]),
        row("0 1 1 01110000 iiiii 0 iiii 1 nnnnn ddddd", "mov", &[LaneImm5(D), LaneImm4(N)]),
    ]),
    section(
        "Advanced SIMD table lookup",
        "0 x 001110 xx 0 xxxxx 0 xx x 00 xxxxx xxxxx",
        &[
            row("0 q 001110 00 0 mmmmm 0 ll 0 00 nnnnn ddddd", "tbl", &[Vq(Byte, D), Table, Vq(Byte, M)]),
            row("0 q 001110 00 0 mmmmm 0 ll 1 00 nnnnn ddddd", "tbx", &[Vq(Byte, D), Table, Vq(Byte, M)]),
        ],
    ),
    section(
        "Advanced SIMD permute",
        "0 x 001110 xx 0 xxxxx 0 xxx 10 xxxxx xxxxx",
        &[
            permute("0 q 001110 ss 0 mmmmm 0 001 10 nnnnn ddddd", "uzp1"),
            permute("0 q 001110 ss 0 mmmmm 0 010 10 nnnnn ddddd", "trn1"),
            permute("0 q 001110 ss 0 mmmmm 0 011 10 nnnnn ddddd", "zip1"),
            permute("0 q 001110 ss 0 mmmmm 0 101 10 nnnnn ddddd", "uzp2"),
            permute("0 q 001110 ss 0 mmmmm 0 110 10 nnnnn ddddd", "trn2"),
            permute("0 q 001110 ss 0 mmmmm 0 111 10 nnnnn ddddd", "zip2"),
        ],
    ),
    section(
        "Advanced SIMD extract",
        "0 x 101110 xx 0 xxxxx 0 xxxx 0 xxxxx xxxxx",
        &[row(
            "0 q 101110 00 0 mmmmm 0 iiii 0 nnnnn ddddd",
            "ext",
            &[Vq(Byte, D), Vq(Byte, N), Vq(Byte, M), Imm(11, 4)],
        )
        .when(ext_index)],
    ),
    section(
        "Advanced SIMD scalar copy",
        "01 x 11110000 xxxxx 0 xxxx 1 xxxxx xxxxx",
        &[row("01 0 11110000 iiiii 0 0000 1 nnnnn ddddd", "dup", &[Fimm5(D), LaneImm5(N)]).when(copy_any)],
    )
    .aliases(&[row("01 0 11110000 iiiii 0 0000 1 nnnnn ddddd", "mov", &[Fimm5(D), LaneImm5(N)])]),
];
