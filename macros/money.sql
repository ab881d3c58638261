{# An amount in US dollars, exact to the cent. Sources may hold amounts as floating point. #}
{% macro usd(amount) -%}
    cast({{ amount }} as decimal(18, 2))
{%- endmacro %}
