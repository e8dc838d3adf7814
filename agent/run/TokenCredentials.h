#pragma once

#include "agent/model/Token.h"

#include <filesystem>
#include <string>
#include <vector>

namespace agent
{

/// Returns the tokens that systemd hands to the agent: files `tokens_ROLE.NAME` in `folder`
/// ($CREDENTIALS_DIRECTORY), as `LoadCredential=tokens:FOLDER` makes them; each holds one secret.
/// Errors: a file that is no such token is left out, with a line in `problems`, which never shows its content.
std::vector<Token> tokenCredentials(const std::filesystem::path& folder,
                                    std::vector<std::string>& problems);

} // namespace agent
