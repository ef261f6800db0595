#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The stages of redaction, in their order: known values, key blocks, patterns.
namespace autoexec::redaction {

/// The replacement of a secret.
inline constexpr std::string_view redaction_marker = "***REDACTED***";

/// Longer secrets may not be found; no stage holds back more text.
inline constexpr std::size_t max_secret_length = 64 * 1024;

/// An encoding of a secret. The byte before or after it may also contain bits of the secret: a
/// base64 digit in a longer encoded text.
struct SecretForm {
    std::string text;
    bool grows_left = false;
    bool grows_right = false;
};

/// The common encodings of a secret: plain, quoted for a shell, in JSON, in URLs, in base64 and, up
/// to 4 KiB, in hex. Some of them may be equal.
std::vector<SecretForm> forms_of_secret(const std::string& secret);

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

/// Removes private key blocks (PEM, OpenPGP, SSH2) from text in chunks. A block is open until its
/// END. A truncated block ends where prose evidently continues, or when it is longer than any
/// secret; text that merely mentions a BEGIN line loses a few lines.
class KeyBlocks {
public:
    /// Appends to `out` the text that no later chunk can change.
    void feed(std::string_view chunk, std::string& out) { advance(chunk, out, false); }
    void finish(std::string& out);

private:
    void advance(std::string_view chunk, std::string& out, bool last);
    bool pass(std::string_view& rest, std::string& out, bool last);
    bool skip(std::string_view& rest, bool last);
    void classify_line(std::string_view line);

    std::string held_;
    bool open_ = false;
    std::size_t skipped_ = 0;
    int prose_ = 0;
};

/// A secret found by its form: `[begin, end)` is replaced; the match began at `head`.
struct Finding {
    std::size_t head;
    std::size_t begin;
    std::size_t end;
};

/// The first match of a pattern at or after `from`. None spans a line end or matches redacted text.
std::optional<Finding> find_secret(std::string_view text, std::size_t from);

/// How certainly a value beside a secret's name is a secret, by its form.
enum class Certainty {
    certain,  ///< `user:password@host`, `Authorization: Bearer …`: anything but a reference
    strong,   ///< `key=value`, `--key value`, `"key": "value"`: anything but a placeholder
    weak,     ///< `key: value`, which is prose, code or documentation more often than not
};

/// The first part of a value decides whether it is a secret. Bounded, so that the time is linear
/// even if each word of a text looks like a key.
inline constexpr std::size_t max_examined = 1024;

/// True if the value of `key` is a secret, not a placeholder, a type, or a word of prose.
bool is_secret_value(Certainty certainty, std::string_view key, std::string_view value);

}  // namespace autoexec::redaction
