# Puts files into a program: writes a source that takes their bytes in and lists them. Of the page, scripts and style sheets
# indentation and lines that are comments are left out, and line ends and blanks that mean nothing: a fifth of the
# page's weight.
#   embed_dashboard(TARGET FILE…)
function(strip_file file stripped)
    file(READ ${file} text)
    string(REGEX REPLACE "\n[ \t]+" "\n" text "\n${text}")
    string(REGEX REPLACE "\n//[^\n]*" "" text "${text}")
    string(REGEX REPLACE "\n/\\*[^\n]*\\*/(\n)" "\\1" text "${text}")
    string(REGEX REPLACE "\n\n+" "\n" text "${text}")
    string(REGEX REPLACE "^\n" "" text "${text}")
    if(file MATCHES "\\.css$")
        string(REGEX REPLACE " ?([{};,])[ \n]+" "\\1" text "${text}")
        string(REGEX REPLACE " {" "{" text "${text}")
        string(REGEX REPLACE ";}" "}" text "${text}")
        string(REGEX REPLACE "([a-z]): " "\\1:" text "${text}")
    elseif(file MATCHES "\\.js$")
        # A line end behind these ends no statement. It ends a comment, though: lines with one keep theirs.
        string(ASCII 1 kept)
        string(REGEX REPLACE "(//[^\n]*)\n" "\\1${kept}" text "${text}")
        string(REGEX REPLACE "([{(,;])\n" "\\1" text "${text}")
        string(REPLACE "${kept}" "\n" text "${text}")
    endif()
    file(CONFIGURE OUTPUT ${stripped} CONTENT "${text}" @ONLY)
endfunction()

function(embed_dashboard target)
    set(source ${CMAKE_BINARY_DIR}/DashboardFiles.cpp)
    set(bytes "")
    set(names "")
    set(entries "")
    set(index 0)
    set(files "")
    foreach(file IN LISTS ARGN)
        get_filename_component(name ${file} NAME)
        if(file MATCHES "^${CMAKE_SOURCE_DIR}/.*\\.(js|css|html)$")
            set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
            strip_file(${file} ${CMAKE_BINARY_DIR}/dashboard/${name})
            set(file ${CMAKE_BINARY_DIR}/dashboard/${name})
        endif()
        list(APPEND files ${file})
        string(APPEND bytes
            "    \"dashboard_${index}: .incbin \\\"${file}\\\"\\n\"\n"
            "    \"dashboard_${index}_end:\\n\"\n")
        string(APPEND names "extern const char dashboard_${index}[], dashboard_${index}_end[];\n")
        string(APPEND entries
            "        file(\"${name}\", dashboard_${index}, dashboard_${index}_end),\n")
        math(EXPR index "${index} + 1")
    endforeach()
    file(CONFIGURE OUTPUT ${source} @ONLY CONTENT [[
#include "agent/api/DashboardFiles.h"

asm(".section .rodata\n"
@bytes@    ".previous\n");

extern "C"
{
@names@}

namespace agent
{

static DashboardFile file(std::string_view name, const char* begin, const char* end)
{
    return {.name = name, .bytes = {begin, end}};
}

std::span<const DashboardFile> dashboardFiles()
{
    static const DashboardFile files[] = {
@entries@    };
    return files;
}

} // namespace agent
]])
    set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS "${files}"
        SKIP_PRECOMPILE_HEADERS ON)
    target_sources(${target} PRIVATE ${source})
endfunction()
