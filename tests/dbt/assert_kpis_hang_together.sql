-- KPIs that are made of one another are: a basket's value is net sales over baskets, retention is of
-- the households of the period before, no share is above 1, and so on. The audit computes what the
-- catalog says; this says what it must say. A row here is a figure that contradicts another, or that
-- misses the other that it should be held against: look at the KPI's numerator_measure and
-- denominator_measure in seeds/kpi_catalog.csv. A row without a period is a KPI that is named here
-- and that the catalog does not have, or not as a rate: name it here as it is named there.
{% set paired = [
    ('average_basket_value', 'net_sales', 'baskets'),
    ('lines_per_basket', 'lines', 'baskets'),
    ('sales_per_active_household', 'net_sales', 'active_households'),
    ('visits_per_active_household', 'baskets', 'active_households'),
    ('retailer_discount_rate', none, 'gross_sales'),
    ('private_label_share', none, 'net_sales'),
    ('promoted_sales_share', none, 'net_sales'),
    ('loyalty_discount_line_share', none, 'lines'),
] %}
{% set named = ['household_retention_rate'] %}
{% for kpis in paired %}
    {% do named.extend(kpis | select) %}
{% endfor %}

with kpi_figures as (

    select * from {{ ref('kpi_values') }}

),

catalog as (

    select * from {{ ref('kpi_catalog') }}

),

named as (

    {% for kpi in named | unique | sort %}
        select '{{ kpi }}' as kpi_id
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

parts as (

    {% for kpi, numerator, denominator in paired %}
        {% for part, other in [('numerator', numerator), ('denominator', denominator)] if other %}
            select
                '{{ kpi }}' as kpi_id,
                '{{ part }}' as part,
                '{{ other }}' as other_kpi_id
            union all
        {% endfor %}
    {% endfor %}
    select
        'retailer_discount_rate' as kpi_id,
        'discount' as part,
        'net_sales' as other_kpi_id

),

-- A part beside the KPI that it should be, wherever the catalog publishes both.
held as (

    select
        whole.kpi_id,
        whole.grain,
        whole.period_start_date,
        whole.slice,
        whole.slice_value,
        parts.part,
        parts.other_kpi_id,
        case
            when parts.part = 'numerator' then whole.numerator
            when parts.part = 'denominator' then whole.denominator
            else whole.denominator - whole.numerator
        end as part_value,
        others.kpi_id as found_kpi_id,
        others.value as found_value
    from parts
    inner join kpi_figures as whole
        on parts.kpi_id = whole.kpi_id
    inner join catalog
        on
            parts.other_kpi_id = catalog.kpi_id
            and whole.period_start_date >= catalog.valid_from
            and {{ dbt.concat(["' '", 'catalog.published_slices', "' '"]) }}
            like {{ dbt.concat(["'% '", 'whole.slice', "'/'", 'whole.grain', "' %'"]) }}
    left join kpi_figures as others
        on
            parts.other_kpi_id = others.kpi_id
            and whole.grain = others.grain
            and whole.period_start_date = others.period_start_date
            and whole.slice = others.slice
            and whole.slice_value = others.slice_value

),

-- The denominator of retention is the households of the period before, where that is a whole one.
-- The first period has none before it.
followed as (

    select
        grain,
        slice,
        min(period_start_date) as first_period_start_date
    from kpi_figures
    where kpi_id = 'active_households'
    group by grain, slice

),

retentions as (

    select
        retained.kpi_id,
        retained.grain,
        retained.period_start_date,
        retained.slice,
        retained.slice_value,
        case
            when households.kpi_id is null then 'misses the active_households of the period before'
            when
                (households.is_complete_period and retained.denominator is distinct from households.value)
                or (
                    retained.is_complete_period
                    and not households.is_complete_period
                    and retained.value is not null
                )
                then 'is not of the households of the period before'
        end as finding
    from kpi_figures as retained
    inner join followed
        on
            retained.grain = followed.grain
            and retained.slice = followed.slice
            and retained.period_start_date > followed.first_period_start_date
    left join kpi_figures as households
        on
            households.kpi_id = 'active_households'
            and retained.grain = households.grain
            and retained.slice = households.slice
            and retained.slice_value = households.slice_value
            and retained.period_start_date
            = {{ next_period_start_date('households.grain', 'households.period_start_date') }}
    where retained.kpi_id = 'household_retention_rate'

),

-- What a KPI has to be held against, and whether it was anywhere.
to_hold as (

    select
        kpi_id,
        other_kpi_id
    from parts
    union distinct
    select
        'household_retention_rate' as kpi_id,
        'active_households' as other_kpi_id

),

was_held as (

    select
        kpi_id,
        other_kpi_id
    from held
    union distinct
    select
        kpi_id,
        'active_households' as other_kpi_id
    from retentions

),

-- Retention needs two periods of a grain.
periods as (

    select
        kpi_id,
        grain,
        count(distinct period_start_date) as period_count
    from kpi_figures
    group by kpi_id, grain

),

reported as (

    select distinct kpi_id
    from periods
    where period_count > 1

),

unknown as (

    select
        named.kpi_id,
        'is not in the catalog' as finding
    from named
    left join catalog
        on named.kpi_id = catalog.kpi_id
    where
        catalog.kpi_id is null
        and {{ rows_are_read() }}

),

unheld as (

    select
        to_hold.kpi_id,
        'is nowhere held against ' || to_hold.other_kpi_id as finding
    from to_hold
    inner join reported
        on to_hold.kpi_id = reported.kpi_id
    left join was_held
        on
            to_hold.kpi_id = was_held.kpi_id
            and to_hold.other_kpi_id = was_held.other_kpi_id
    where was_held.kpi_id is null

),

-- A rate is one by its unit or by its name.
not_a_rate as (

    select
        kpi_id,
        'is named as a rate, and its unit is another' as finding
    from catalog
    where
        (kpi_id like '%_rate' or kpi_id like '%_share')
        and unit <> 'rate'

),

of_catalog as (

    select * from unknown
    union all
    select * from unheld
    union all
    select * from not_a_rate

),

contradicting as (

    select
        kpi_id,
        grain,
        period_start_date,
        slice,
        slice_value,
        case
            when found_kpi_id is null then 'misses its ' || other_kpi_id
            else 'is not made of ' || other_kpi_id
        end as finding
    from held
    where part_value is distinct from found_value

),

outside as (

    select
        kpi_figures.kpi_id,
        kpi_figures.grain,
        kpi_figures.period_start_date,
        kpi_figures.slice,
        kpi_figures.slice_value,
        'is a rate outside 0 to 1' as finding
    from kpi_figures
    inner join catalog
        on kpi_figures.kpi_id = catalog.kpi_id
    where
        catalog.unit = 'rate'
        and (kpi_figures.value < 0 or kpi_figures.value > 1)

)

select
    kpi_id,
    cast(null as {{ dbt.type_string() }}) as grain,
    cast(null as date) as period_start_date,
    cast(null as {{ dbt.type_string() }}) as slice,
    cast(null as {{ dbt.type_string() }}) as slice_value,
    finding
from of_catalog
union all
select * from contradicting
union all
select * from retentions
where finding is not null
union all
select * from outside
