//! Numbers as the Prometheus client for Python writes them.

/// Such as `2.0`, `5.4e-05`, `1.5e+09` and `+Inf`.
pub(super) fn show(number: f64) -> String {
    if number.is_infinite() && number > 0.0 {
        return "+Inf".into();
    }
    let text = if number != 0.0 && number.abs() < 1e-4 {
        format!("{number:e}")
    } else {
        format!("{number:?}")
    };
    if let Some((mantissa, exponent)) = text.split_once("e-") {
        return format!("{mantissa}e-{exponent:0>2}");
    }
    match text.find('.') {
        Some(dot) if number > 0.0 && dot > 6 => {
            let digits = format!("{}.{}{}", &text[..1], &text[1..dot], &text[dot + 1..]);
            format!("{}e+{:0>2}", digits.trim_end_matches(['0', '.']), dot - 1)
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::show;

    #[test]
    fn numbers_are_those_of_the_reference() {
        for (number, text) in [
            (0.0, "0.0"),
            (2.0, "2.0"),
            (0.01, "0.01"),
            (f64::INFINITY, "+Inf"),
            (5.459_100_066_218_525e-5, "5.459100066218525e-05"),
            (1_795_280_448.814_618, "1.795280448814618e+09"),
            (561_078_272.0, "5.61078272e+08"),
            (103_637.0, "103637.0"),
            (0.000_720_488_005_754_305, "0.000720488005754305"),
        ] {
            assert_eq!(show(number), text);
        }
    }
}
