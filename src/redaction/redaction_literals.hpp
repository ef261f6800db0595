#pragma once

#include "redaction/redaction_forms.hpp"

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::redaction {

/// The replacement of a secret.
inline constexpr std::string_view redaction_marker = "***REDACTED***";

/// Longer secrets may not be found; no stage holds back more text.
inline constexpr std::size_t max_secret_length = 64 * 1024;

/// The known values of an environment in all common encodings, as one Aho-Corasick automaton: the
/// time is linear in the text, for any number of secrets.
///
/// Thread safety: immutable; safe to share.
class SecretLiterals {
public:
    explicit SecretLiterals(std::span<const std::pair<std::string, std::string>> environment);

    /// One pass over text in chunks.
    class Scan {
    public:
        explicit Scan(const SecretLiterals& literals) : literals_(literals) {}

        /// Appends to `out` the text that no later chunk can change.
        void feed(std::string_view chunk, std::string& out);
        void finish(std::string& out);

    private:
        struct Range {
            std::size_t begin;
            std::size_t end;
        };

        void step(std::size_t at);
        void cover(Range range);
        void emit(std::size_t limit, std::string& out);

        const SecretLiterals& literals_;
        std::uint32_t state_ = 0;
        std::string held_;
        std::size_t scanned_ = 0;
        std::vector<Range> covered_;  // ascending, not adjacent
        bool grows_ = false;          // the next byte belongs to the last match if it is base64
        bool after_marker_ = false;
    };

private:
    struct Node {
        std::uint32_t first_child = 0;
        std::uint32_t sibling = 0;
        std::uint32_t fail = 0;
        std::uint32_t depth = 0;
        std::uint32_t hit = 0;  // length of the longest literal that ends here
        unsigned char byte = 0;
        bool grows_left = false;
        bool grows_right = false;
    };

    void insert(const SecretForm& form);
    void link();
    std::uint32_t child(std::uint32_t node, unsigned char byte) const;
    std::uint32_t next(std::uint32_t node, unsigned char byte) const;
    bool may_start(std::string_view text, std::size_t at) const;

    std::vector<Node> nodes_{1};
    std::vector<std::uint32_t> roots_ = std::vector<std::uint32_t>(256);
    std::bitset<65536> starts_;  // the first two bytes of any literal
};

}  // namespace autoexec::redaction
