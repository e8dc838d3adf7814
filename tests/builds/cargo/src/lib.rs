pub fn double(n: u32) -> u32 {
    n * 2
}

/// ```
/// assert_eq!(app::double(2), 4);
/// ```
pub fn documented() {}

#[cfg(test)]
mod tests {
    #[test]
    fn doubles() {
        assert_eq!(super::double(4), 8);
    }
}
