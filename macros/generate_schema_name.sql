{# The schema names of dbt_project.yml as they are: every developer has a warehouse file of
   their own, so nothing needs a prefix. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{- (custom_schema_name or target.schema) | trim -}}
{%- endmacro %}
