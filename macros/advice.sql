{# Prints of every test that failed what its failure means and what to do: dbt itself prints where its
   rows are. dbt_project.yml calls it as a hook. #}
{% macro print_advice(results) -%}
    {%- if execute -%}
        {%- for result in results if result.status in ['fail', 'warn'] -%}
            {%- set advice = advice_of(result.node) -%}
            {%- if advice -%}
                {%- do log(result.node.name ~ ': ' ~ advice, info=true) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{# What a test says of its failure: the comment that a test in tests/dbt opens with, or the description
   that a test in YAML has. #}
{% macro advice_of(test) -%}
    {%- set comment = [] -%}
    {%- set opening = namespace(goes_on=true) -%}
    {%- for line in (test.raw_code or '').split('\n') -%}
        {%- set opening.goes_on = opening.goes_on and line.startswith('--') -%}
        {%- if opening.goes_on -%}
            {%- do comment.append(line[2:] | trim) -%}
        {%- endif -%}
    {%- endfor -%}
    {{- return((comment | join(' ') or test.description or '') | trim | replace('\n', ' ')) -}}
{%- endmacro %}
