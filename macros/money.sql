{# An amount in US dollars, exact to the cent. Sources may hold amounts as floating point. #}
{# By way of text: multiplied to cents, 1.005, which is a little less in floating point, is 1.00. #}
{% macro usd(amount) -%}
    cast(cast({{ amount }} as {{ dbt.type_string() }}) as decimal(18, 2))
{%- endmacro %}
