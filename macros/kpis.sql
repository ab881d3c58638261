{# The grains of KPIs, and the column of dim_dates that opens a period of each. #}
{% macro kpi_grains() -%}
    {{ return({'day': 'business_date', 'week': 'week_start_date', 'month': 'month_start_date'}) }}
{%- endmacro %}

{# The measures of every model that measures, and the slices that it has at each grain. #}
{% macro kpi_measures() -%}
    {{ return({
        'int_kpis__sales_measured': {
            'measures': [
                'gross_sales_usd', 'net_sales_usd', 'retailer_discount_usd', 'line_count',
                'loyalty_discount_line_count', 'private_label_net_sales_usd',
                'promoted_net_sales_usd', 'basket_count', 'active_household_count',
                'new_household_count',
            ],
            'slices': {
                'day': ['all', 'department', 'brand_type', 'household_income_band'],
                'week': ['all', 'department', 'store', 'brand_type', 'household_income_band'],
                'month': ['all', 'department', 'store', 'brand_type', 'household_income_band'],
            },
        },
        'int_kpis__retention_measured': {
            'measures': ['previous_active_household_count', 'retained_household_count'],
            'slices': {
                'week': ['all', 'household_income_band'],
                'month': ['all', 'household_income_band'],
            },
        },
        'int_kpis__redemptions_measured': {
            'measures': ['coupon_redemption_count', 'redeeming_household_count'],
            'slices': {
                'day': ['all', 'campaign'],
                'week': ['all', 'campaign'],
                'month': ['all', 'campaign'],
            },
        },
        'int_kpis__targets_measured': {
            'measures': ['running_target_count', 'redeeming_target_count'],
            'slices': {'week': ['all', 'campaign'], 'month': ['all', 'campaign']},
        },
    }) }}
{%- endmacro %}

{# The date that opens the period after one. #}
{% macro next_period_start_date(grain, period_start_date) -%}
    cast(
        case
            when {{ grain }} = 'day' then {{ dbt.dateadd('day', 1, period_start_date) }}
            when {{ grain }} = 'week' then {{ dbt.dateadd('day', 7, period_start_date) }}
            when {{ grain }} = 'month' then {{ dbt.dateadd('month', 1, period_start_date) }}
        end as date
    )
{%- endmacro %}

{# A quotient to six decimals, the same on every engine; null where there is nothing to divide by. #}
{% macro kpi_ratio(numerator, denominator) -%}
    cast(
        cast({{ numerator }} as double) / nullif(cast({{ denominator }} as double), 0)
        as decimal(28, 6)
    )
{%- endmacro %}

{# What is wrong with the catalog, one line a fault. `measures` holds 'measure_id slice/grain'. #}
{% macro kpi_catalog_faults(rows, measures, owners) -%}
    {%- set faults = [] -%}
    {%- set seen = [] -%}
    {%- set known = measures | map('first') | unique | sort | list -%}
    {%- set allowed = {
        'numerator_measure': known,
        'unit': ['usd', 'count', 'rate'],
        'good_direction': ['up', 'down', 'none'],
        'owner': owners,
    } -%}
    {%- for row in rows -%}
        {%- set name = 'kpi ' ~ (row.kpi_id or 'in row ' ~ loop.index) -%}
        {%- if row.kpi_id in seen -%}
            {%- do faults.append(name ~ ': kpi_id: expected it once, found it again; rename one of the two') -%}
        {%- endif -%}
        {%- do seen.append(row.kpi_id) -%}
        {%- for column in ['kpi_id', 'kpi_name', 'question', 'action', 'published_slices', 'valid_from'] -%}
            {%- if not row[column] -%}
                {%- do faults.append(name ~ ': ' ~ column ~ ': expected a value, found none; fill it in') -%}
            {%- endif -%}
        {%- endfor -%}
        {%- for column, values in allowed.items() -%}
            {%- if row[column] not in values -%}
                {%- do faults.append(
                    name ~ ': ' ~ column ~ ': expected one of ' ~ values | join(', ') ~ ', found '
                    ~ (row[column] or 'none') ~ '; correct it'
                ) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if row.denominator_measure and row.denominator_measure not in known -%}
            {%- do faults.append(
                name ~ ': denominator_measure: expected one of ' ~ known | join(', ')
                ~ ' or nothing, found ' ~ row.denominator_measure ~ '; correct it'
            ) -%}
        {%- endif -%}
        {%- for measure in [row.numerator_measure, row.denominator_measure] if measure in known -%}
            {%- for published in (row.published_slices or '').split(' ') if published -%}
                {%- if [measure, published] not in measures -%}
                    {%- do faults.append(
                        name ~ ': published_slices: expected slices and grains of ' ~ measure ~ ' ('
                        ~ measures | selectattr(0, 'equalto', measure) | map('last') | sort | join(' ')
                        ~ '), found ' ~ published ~ '; take it out'
                    ) -%}
                {%- endif -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(faults) }}
{%- endmacro %}

{# Read the catalog and stop with one line when something is wrong with it. #}
{% macro check_kpi_catalog(catalog) -%}
    {%- if execute and load_relation(catalog) is not none -%}
        {%- set rows = [] -%}
        {%- for row in run_query('select * from ' ~ catalog).rows -%}
            {%- do rows.append(row.dict()) -%}
        {%- endfor -%}
        {%- set known = [] -%}
        {%- for model in kpi_measures().values() -%}
            {%- for grain, slices in model.slices.items() -%}
                {%- for slice in slices -%}
                    {%- for measure in model.measures -%}
                        {%- do known.append([measure, slice ~ '/' ~ grain]) -%}
                    {%- endfor -%}
                {%- endfor -%}
            {%- endfor -%}
        {%- endfor -%}
        {%- set owners = graph.groups.values() | map(attribute='name') | sort | list -%}
        {%- set faults = kpi_catalog_faults(rows, known, owners) -%}
        {%- if faults -%}
            {{ exceptions.raise_compiler_error('seeds/kpi_catalog.csv: ' ~ faults[0]
                ~ (' (and ' ~ (faults | length - 1) ~ ' more)' if faults | length > 1)) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
