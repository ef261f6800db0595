#include "redaction/agent_text.hpp"

#include "text/text.hpp"

namespace autoexec::inline v1 {

std::string agent_text(const Redactor& redactor, std::string_view text, std::size_t max)
{
    // Redact before truncating; otherwise a part of a secret could remain.
    auto text_kept = redactor.redact(text);
    if (text_kept.size() <= max) return text_kept;
    return std::string(text::head(text_kept, max)) + "…";
}

}  // namespace autoexec::inline v1
