-- Grain: one row a household and version of its answers (household_id, valid_from).
-- The versions of a household follow each other from 1900-01-01 to 9999-12-31: any moment lies in
-- one of them, `valid_from <= moment and moment < valid_to`.
with history as (

    select * from {{ ref('snap_households') }}

),

households as (

    select * from {{ ref('dim_households') }}

),

age_bands as (

    select * from {{ ref('age_bands') }}

),

income_bands as (

    select * from {{ ref('income_bands') }}

),

dated as (

    {{ dated_versions('history', 'household_id') }}

),

-- The version that records a withdrawal has the answers of the one before; here it has none, as any
-- household that did not answer.
with_history as (

    select
        household_id,
        valid_from,
        valid_to,
        is_current,
        source_system,
        coalesce(case when is_present then age_band end, 'Unknown') as age_band,
        coalesce(case when is_present then income_band end, 'Unknown') as income_band,
        coalesce(case when is_present then home_ownership end, 'Unknown') as home_ownership,
        coalesce(case when is_present then marital_status end, 'Unknown') as marital_status,
        coalesce(case when is_present then household_size end, 'Unknown') as household_size,
        coalesce(case when is_present then household_composition end, 'Unknown')
            as household_composition,
        coalesce(case when is_present then kids_count end, 'Unknown') as kids_count,
        is_present as has_answered_survey,
        false as is_unknown
    from dated

),

-- Never answered, and the unknown household: one version each, as the dimension has it.
without_history as (

    select
        households.household_id,
        timestamp '1900-01-01' as valid_from,
        timestamp '9999-12-31' as valid_to,
        true as is_current,
        households.source_system,
        households.age_band,
        households.income_band,
        households.home_ownership,
        households.marital_status,
        households.household_size,
        households.household_composition,
        households.kids_count,
        households.has_answered_survey,
        households.is_unknown
    from households
    left join history
        on households.household_id = history.household_id
    where history.household_id is null

),

unioned as (

    select * from with_history
    union all
    select * from without_history

),

final as (

    select
        unioned.household_id,
        unioned.valid_from,
        unioned.valid_to,
        unioned.is_current,
        unioned.source_system,
        unioned.age_band,
        age_bands.band_order as age_band_order,
        unioned.income_band,
        income_bands.band_order as income_band_order,
        unioned.home_ownership,
        unioned.marital_status,
        unioned.household_size,
        unioned.household_composition,
        unioned.kids_count,
        unioned.has_answered_survey,
        unioned.is_unknown
    from unioned
    left join age_bands
        on unioned.age_band = age_bands.age_band
    left join income_bands
        on unioned.income_band = income_bands.income_band

)

select * from final
